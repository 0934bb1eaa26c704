//! Table tests of decide.
