//! The report as one page that needs nothing else: no script, no font, no picture from anywhere. PURE.
//!
//! Every text that comes from a cluster is escaped, and a policy in the page itself forbids whatever would still get through.

use std::fmt::{Display, Write};

use super::super::report::Report;
use super::super::rule::{Effort, Finding, Group, Rule};
use super::svg::svg;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn html(report: &Report) -> String {
    let mut page = Page(String::with_capacity(64 * 1024));
    let title = format!("From {} to {}", report.source, report.target);
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    page.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">");
    page.element("title", "", &title);
    page.raw(&format!("<style>{STYLE}</style></head><body><header>"));
    page.element("h1", "", &title);
    let numbers =
        format!("{} objects, {} workloads, {} findings", report.objects, report.workloads.len(), report.findings.len());
    page.element("p", "", &numbers);
    page.raw("</header><main>");
    summary(report, &mut page);
    facts(report, &mut page);
    picture(report, &mut page);
    workloads(report, &mut page);
    findings(report, &mut page);
    page.raw("</main></body></html>\n");
    page.0
}

/// Text that means the same inside of an element or a quoted attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

struct Page(String);

impl Page {
    /// Markup of this file.
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// An element with a text from anywhere.
    fn element(&mut self, name: &str, class: &str, text: impl Display) {
        let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
        // Writing to a String cannot fail.
        let _ = write!(self.0, "<{name}{class}>{}</{name}>", escape(&text.to_string()));
    }

    /// A cell that says which column it is of, for screens too narrow for columns.
    fn cell(&mut self, column: &str, content: impl FnOnce(&mut Self)) {
        let _ = write!(self.0, "<td data-of=\"{}\">", escape(column));
        content(self);
        self.raw("</td>");
    }

    fn text_cell(&mut self, column: &str, text: impl Display) {
        self.cell(column, |page| page.raw(&escape(&text.to_string())));
    }

    fn head(&mut self, columns: &[&str]) {
        self.raw("<thead><tr>");
        columns.iter().for_each(|column| self.element("th", "", column));
        self.raw("</tr></thead>");
    }
}

fn class(effort: Effort) -> &'static str {
    match effort {
        Effort::Ready => "ready",
        Effort::NeedsChange => "change",
        Effort::Blocked => "blocked",
    }
}

fn summary(report: &Report, page: &mut Page) {
    page.raw("<section id=\"summary\"><h2>Summary</h2><ul class=\"tiles\">");
    for (effort, count) in &report.efforts {
        page.raw(&format!("<li class=\"{}\">", class(*effort)));
        page.element("strong", "", count);
        page.element("span", "", effort);
        page.raw("</li>");
    }
    page.raw("</ul></section>");
}

fn facts(report: &Report, page: &mut Page) {
    page.raw("<section id=\"versions\"><h2>The two clusters</h2><div class=\"wide\"><table>");
    page.head(&["", &report.source, &report.target]);
    page.raw("<tbody>");
    for fact in &report.facts {
        page.raw("<tr>");
        page.element("th", "", fact.what);
        page.text_cell(&report.source, &fact.source);
        page.text_cell(&report.target, &fact.target);
        page.raw("</tr>");
    }
    page.raw("</tbody></table></div></section>");
}

fn picture(report: &Report, page: &mut Page) {
    page.raw("<section id=\"waves\"><h2>Who needs whom, and in which waves to move</h2>");
    match svg(report) {
        Some(picture) => {
            page.element(
                "p",
                "",
                "An arrow leads from who needs to what is needed. What is needed moves first, from left to right.",
            );
            page.raw("<div class=\"wide\">");
            page.raw(&picture);
            page.raw("</div>");
        }
        None => page.element("p", "", "There is no picture: nobody here names another, or too many do to draw them."),
    }
    page.raw("<ol>");
    for wave in &report.waves {
        let names: Vec<_> = wave.iter().map(ToString::to_string).collect();
        page.element("li", "", names.join(", "));
    }
    page.raw("</ol></section>");
}

fn workloads(report: &Report, page: &mut Page) {
    page.raw("<section id=\"workloads\"><h2>Workloads</h2><div class=\"wide\"><table>");
    page.head(&["workload", "effort", "wave", "pods", "asks for", "because of"]);
    page.raw("<tbody>");
    let mut sorted: Vec<_> = report.workloads.iter().collect();
    sorted.sort_by(|a, b| b.effort.cmp(&a.effort).then_with(|| a.object.cmp(&b.object)));
    for workload in sorted {
        page.raw("<tr>");
        page.element("td", "", &workload.object);
        page.cell("effort", |page| page.element("span", class(workload.effort), workload.effort));
        page.text_cell("wave", workload.wave);
        page.text_cell("pods", workload.replicas);
        page.text_cell("asks for", workload.requests);
        page.cell("because of", |page| {
            workload.rules.iter().for_each(|id| page.raw(&format!("<a href=\"#{id}\">{id}</a> ")));
        });
        page.raw("</tr>");
    }
    page.raw("</tbody></table></div></section>");
}

fn findings(report: &Report, page: &mut Page) {
    for group in Group::ALL {
        let rules: Vec<_> = report.rules.iter().filter(|rule| rule.group() == group).collect();
        if rules.is_empty() {
            continue;
        }
        page.raw("<section><h2>");
        page.raw(&escape(group.title()));
        page.raw("</h2>");
        for rule in rules {
            let found: Vec<_> = report.findings.iter().filter(|finding| finding.id == rule.id).collect();
            one_rule(rule, &found, page);
        }
        page.raw("</section>");
    }
}

/// A rule that blocks or asks for a change is open when the page is.
fn one_rule(rule: &Rule, found: &[&Finding], page: &mut Page) {
    let effort = found.iter().map(|finding| finding.effort).max().unwrap_or(rule.effort);
    let open = if effort == Effort::Blocked { " open" } else { "" };
    page.raw(&format!("<details id=\"{}\"{open}><summary>", rule.id));
    page.element("code", "", rule.id);
    page.raw(" ");
    page.element("b", "", rule.title);
    page.raw(" ");
    page.element("span", class(effort), effort);
    page.raw(" ");
    page.element("span", "count", found.len());
    page.raw("</summary>");
    page.element("p", "", rule.why);
    page.raw("<p class=\"fix\"><b>What to do: </b>");
    page.raw(&escape(rule.fix));
    page.raw("</p><div class=\"wide\"><table>");
    page.head(&["object", "field", "what"]);
    page.raw("<tbody>");
    for finding in found {
        page.raw("<tr>");
        page.element("td", "", finding.object.as_ref().map(ToString::to_string).unwrap_or_default());
        page.cell("field", |page| page.element("code", "", &finding.field));
        page.text_cell("what", &finding.what);
        page.raw("</tr>");
    }
    page.raw("</tbody></table></div></details>");
}
