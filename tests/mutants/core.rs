//! The PURE core by itself, for `make mutants`: a mistake planted here costs seconds to build and not half a minute.
//!
//! The modules are those of `src/`, file for file, without what does IO beside them.

#![forbid(unsafe_code)]
#![allow(missing_docs, reason = "what is left out is documented where it is")]

pub mod cluster {
    mod manifest;
    mod object;
    mod replicas;

    pub use object::ObjectRef;
    pub use replicas::Replicas;
}

pub mod analysis {
    pub mod ages;
    pub mod forecast;
    pub mod lasting;
    pub mod lint;
    pub mod power;
    pub mod prometheus {
        pub mod answer;
        mod batch;
    }
    pub mod promql;
    pub mod questions;
    pub mod random;
    pub mod record;
    pub mod sequential;
    pub mod statistics;
    pub mod strata;
    pub mod template;
}

pub mod gate;
pub mod migration;
pub mod policy;
pub mod simulate;
