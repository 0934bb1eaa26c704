//! Judging by numbers: where they come from (`prometheus`, `template`, `promql`, `questions`, `ages`), what they can say (`statistics`,
//! `sequential`, `strata`, `power`), what was learnt from them so far (`record`, `lasting`), and what can be said before anybody is asked (`lint`,
//! `forecast`) or of what was recorded (`backtest`); `random` gives numbers to whatever plays at dice, here and in the simulator.

pub mod ages;
pub mod backtest;
pub mod forecast;
pub mod lasting;
pub mod lint;
pub mod power;
pub mod prometheus;
pub mod promql;
pub mod questions;
pub mod random;
pub mod record;
pub mod sequential;
pub mod statistics;
pub mod strata;
pub mod template;
