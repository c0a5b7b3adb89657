//! An emulator of Azure OpenAI (and OpenAI): provisioned deployments with their utilization bucket,
//! pay-as-you-go deployments with their quotas, the wire as it really looks, and faults on demand.
//!
//! It exists because no public simulator models provisioned throughput. Integration tests run it
//! over real sockets, the demo runs it next to the router, and a simulator runs its pure
//! [`bucket`] and [`quota`] models in virtual time.
//!
//! ```
//! use azure_emulator::bucket::BucketSettings;
//! use azure_emulator::{Deployment, Emulator, Settings, Step};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let gpt_4o = BucketSettings::new(15.0, 2_500.0, 4.0);
//! let emulator = Emulator::start(
//!     Settings::new()
//!         .seed(7)
//!         .api_key("a-key")
//!         .deployment(Deployment::provisioned("chat-ptu", "gpt-4o", gpt_4o)),
//! )
//! .await?;
//! emulator.script("chat-ptu", Step::throttled_ms(400));
//!
//! let url = format!(
//!     "{}/openai/deployments/chat-ptu/chat/completions?api-version=2024-10-21",
//!     emulator.url(),
//! );
//! let ask = || {
//!     reqwest::Client::builder().build().map(|client| {
//!         let body = serde_json::json!({"messages": [{"role": "user", "content": "안녕하세요"}]});
//!         client.post(&url).header("api-key", "a-key").json(&body)
//!     })
//! };
//! let full = ask()?.send().await?;
//! assert_eq!((full.status().as_u16(), &full.headers()["retry-after-ms"]), (429, &"400".parse()?));
//! let answered = ask()?.send().await?;
//! assert_eq!(answered.status(), 200);
//! assert_eq!(emulator.requests_to("chat-ptu").len(), 2);
//! emulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # Shape an answer
//! A request can ask for a length: header `x-emulator-output-tokens` (and
//! `x-emulator-reasoning-tokens`), or, because a router forwards bodies and not headers,
//! `"metadata": {"emulator_output_tokens": "120", "emulator_reasoning_tokens": "0",
//! "emulator_text": "..."}`. With `tool_choice: auto` the emulator calls a function if a word of
//! its name is in the last user message. Everything else is drawn from the seed and the request.
//!
//! # Authentication
//! Without keys, everybody is accepted. Otherwise a key as `api-key` or bearer, or a token of the
//! emulated identities: `GET /metadata/identity/oauth2/token` (instance metadata), `GET /msi/token` (App
//! Service; set `IDENTITY_ENDPOINT` to it), `POST /{tenant}/oauth2/v2.0/token`. Tokens are counted,
//! expire and can be revoked through [`Identity`].
//!
//! # Faults
//! Each deployment has a queue of [`Step`]s; a request takes the oldest. The same steps come in as
//! JSON at `POST /emulator/script`. Canned answers cost the deployment nothing; ordinary ones,
//! however changed, are admitted and settled like any other.
//!
//! # Unknown about the real service
//! The size of the bucket's window, the output assumed for a missing cap, what an abandoned call
//! is charged, and how characters become tokens in a quota's estimate are not published. They are
//! settings, or documented where they are decided. Token counts are estimates by script (see
//! [`wire::tokens`]), not a tokenizer's.
//!
//! # Modules
//! A file imports only from modules listed earlier in this table.
//!
//! | module | contents |
//! | --- | --- |
//! | `bucket` | utilization of a provisioned deployment; pure |
//! | `quota` | requests and tokens left of a pay-as-you-go deployment; pure |
//! | `dice` | seeded randomness, and lengths drawn from it |
//! | `profile` | what a model accepts |
//! | `wire` | shapes of requests, answers, events and errors |
//! | `accept` | checks whether the model accepts a request |
//! | `answer` | the content of answers |
//! | `prompt_cache` | how much of a prompt is cached |
//! | `script` | faults on demand |
//! | `tier` | service tiers of a deployment |
//! | `settings` | address, keys, deployments |
//! | `journal` | what came in, and how it ended |
//! | `wall` | the wall clock |
//! | `identity` | tokens |
//! | `server` | sockets, paths, admission, sending |
//! | `emulator` | the handle of a running one |
//! | `config` | the program's configuration file (feature `cli`) |

pub mod bucket;
pub mod quota;

pub mod dice;
pub mod profile;

pub mod wire;

pub mod accept;
pub mod answer;
mod prompt_cache;

pub mod script;

pub mod tier;

pub mod settings;

mod journal;
mod wall;

mod identity;

mod server;

mod emulator;

#[cfg(feature = "cli")]
pub mod config;

pub use dice::Lengths;
pub use emulator::Emulator;
pub use identity::Identity;
pub use journal::End;
pub use journal::Entry;
pub use profile::Profile;
pub use script::step::Step;
pub use server::deployed::Counters;
pub use settings::Billing;
pub use settings::Deployment;
pub use settings::Latency;
pub use settings::Settings;
pub use tier::Rates;
pub use tier::Tier;
pub use tier::TierName;

/// The example of the page that says how to control the emulator is compiled and run with the documentation's.
#[cfg(doctest)]
#[doc = include_str!("../../docs/emulator.md")]
struct Page;
