//! Mistakes in the user's files, each at its place. PURE.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode};
use serde::Serialize;

use super::tree::Span;

/// A file as it was read.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its path, or `-` for standard input.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Column, counted from 1.
    pub column: usize,
    /// Path of the field, such as `spec.steps[2].setWeight`; empty where the whole document is meant.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    #[serde(skip)]
    range: (usize, usize),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)
    }
}

/// Every mistake found in a set of files; never empty.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{} in what you wrote; nothing was contacted", count(.problems.len()))]
pub struct InvalidInput {
    /// The mistakes, in the order of the files.
    pub problems: Vec<Problem>,
    files: Vec<Arc<NamedSource<String>>>,
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 mistake".into() } else { format!("{problems} mistakes") }
}

impl InvalidInput {
    /// The mistakes as diagnostics that show the line and a caret.
    pub fn diagnostics(&self) -> impl Iterator<Item = Located> + '_ {
        self.problems.iter().map(|problem| Located {
            problem: problem.clone(),
            text: self.files.iter().find(|file| file.name() == problem.file).cloned(),
        })
    }
}

/// A mistake together with the file it stands in, ready to be shown.
#[derive(Debug, thiserror::Error)]
#[error("{}", headline(.problem))]
pub struct Located {
    problem: Problem,
    text: Option<Arc<NamedSource<String>>>,
}

fn headline(problem: &Problem) -> String {
    let Problem { field, message, .. } = problem;
    if field.is_empty() { message.clone() } else { format!("{field}: {message}") }
}

impl Diagnostic for Located {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.problem.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.text.as_deref().map(|text| text as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let (offset, length) = self.problem.range;
        Some(Box::new(std::iter::once(LabeledSpan::new(Some("here".into()), offset, length))))
    }
}

/// Collects the mistakes of one file while it is read.
#[derive(Debug)]
pub struct Problems {
    file: String,
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    /// No mistakes yet in `file`.
    pub fn new(file: &SourceFile) -> Self {
        Self { file: file.name.clone(), found: RefCell::default() }
    }

    /// Notes a mistake.
    pub fn push(&self, at: Span, field: &str, message: impl Into<String>, help: Option<String>) {
        self.found.borrow_mut().push(Problem {
            file: self.file.clone(),
            line: at.line.max(1),
            column: at.column.max(1),
            field: field.to_owned(),
            message: message.into(),
            help,
            range: (at.offset, at.length.max(1)),
        });
    }

    /// Everything noted, in the order of the file.
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| (problem.line, problem.column));
        found
    }
}

/// What was `read` of `files`, or the error for `problems` found in them: there is one at least where nothing was read.
pub fn refuse<T>(problems: Vec<Problem>, files: &[SourceFile], read: Option<T>) -> Result<T, InvalidInput> {
    if let Some(read) = read.filter(|_| problems.is_empty()) {
        return Ok(read);
    }
    let files = files.iter().map(|file| Arc::new(NamedSource::new(&file.name, file.text.clone()))).collect();
    Err(InvalidInput { problems, files })
}
