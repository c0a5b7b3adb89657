//! The offline half of the router: everything that works on traces, request logs and labelled rows.
//!
//! `router-server` links this crate behind its feature `lab` and prints what [`run`] returns. The crate replays traces in
//! virtual time (`simulate`, `size`), replays request logs under other configurations (`replay`), finds thresholds
//! (`calibrate`), and trains and measures the task scorer (`train`, `evaluate`). It serves nothing and prints nothing.
//!
//! # Modules, in dependency order
//! A file may import only from modules listed earlier in this table.
//!
//! | module | purpose |
//! | --- | --- |
//! | `simulation_args` | the command lines of `simulate` and `size` |
//! | `tuning_args` | the command lines of `calibrate` and `replay` |
//! | `learning_args` | the command lines of `train` and `evaluate` |
//! | `report_args` | the command line of `report` |
//! | `printout` | the result of a command: a report and remarks |
//! | `calibration` | the threshold that yields a requested share of reasoning |
//! | `simulation` | a trace replayed in virtual time |
//! | `report_page` | an HTML page of figures and plots |
//! | `plots` | ROC curve, calibration and histogram of the scorer |
//! | `rows` | labelled rows from files |
//! | `model_file` | the model file that a command names |
//! | `corrected` | corrects the benefit of a model file |
//! | `train` | trains a model file |
//! | `wrapped` | how much the text around a question moves its verdict |
//! | `gained` | how well the benefit ranks requests with recorded answers |
//! | `evaluate` | measures a model file |
//! | `failure` | why a command failed |
//! | `spending` | a request log added up by key, team, model .. |
//! | `report_forms` | a spending report as a table, CSV, JSON or HTML |
//! | `report` | what keys, teams and models cost |
//! | `simulate_page` | the HTML page of `simulate` |
//! | `overload_page` | the HTML page of `simulate --no-spill` |
//! | `simulate` | policies side by side on one trace |
//! | `sweep` | the cheapest of many sizes, coarse to fine |
//! | `size` | how many PTUs to buy |
//! | `replay_page` | the HTML page of `replay` |
//! | `replay` | one request log under one or two configurations |
//! | `calibrate` | a threshold from a request log |
//! | `command` | which command line runs which command |

pub mod simulation_args;
//
pub mod tuning_args;
//
pub mod learning_args;
//
pub mod report_args;
//
mod printout;
//
pub mod calibration;
//
pub mod simulation;
//
mod report_page;
//
mod plots;
//
mod rows;
//
mod model_file;
//
mod corrected;
//
mod train;
//
mod wrapped;
//
mod gained;
//
mod evaluate;
//
mod failure;
//
mod spending;
//
mod report_forms;
//
mod report;
//
mod simulate_page;
//
mod overload_page;
//
mod simulate;
//
mod sweep;
//
mod size;
//
mod replay_page;
//
mod replay;
//
mod calibrate;
//
mod command;

pub use command::{LabCommand, run};
pub use failure::Failure;
pub use printout::Printout;
pub use report_page::PageKit;
