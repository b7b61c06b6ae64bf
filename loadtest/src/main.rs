//! Load on the whole gateway, on one machine, beside its own floor and its neighbours. `loadtest/README.md` says what is measured and how.
//!
//! From the bottom: bodies (`words`, `template`, `payload`, `pack`, `bodies`), requests (`scenario`, `source`), connections (`route`, `lane`),
//! the `generator` and what it counts (`tally`), what it is put on (`origin`, `floor`, `world`), one measurement (`usage`, `sample`, `held`),
//! and the commands (`run`, `compare`, `capacity`, `overload`, `report`).

#![forbid(unsafe_code)]

mod bodies;
mod capacity;
mod cli;
mod compare;
mod floor;
mod generator;
mod held;
mod lane;
mod live;
mod measured;
mod origin;
mod out;
mod overload;
mod pack;
mod page;
mod payload;
mod report;
mod route;
mod run;
mod sample;
mod scenario;
mod source;
mod tally;
mod template;
mod usage;
mod words;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
