//! Takes one request along the whole path: parse, decide, send, record. The module root.

mod audit;
mod background;
mod bill;
mod build;
mod build_fault;
mod bulk;
mod call;
mod charging;
mod collections;
mod disclosure;
mod early_head;
mod entering;
#[cfg(test)]
mod future_sizes;
mod incoming;
mod model_router;
mod naming;
mod open_request;
mod other_models;
mod owners;
mod preview;
mod refusing;
mod renewal;
mod replicas_of;
mod respond;
mod routing;
mod stored_call;
mod stored_outcome;
mod unknown;

pub use build_fault::BuildFault;
pub use call::{ChatCall, StoredCall};
pub use disclosure::Disclosure;
pub use model_router::ModelRouter;
pub use routing::Routing;
