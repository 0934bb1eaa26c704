//! PromQL templates: one query text that is asked once for each cluster. PURE.
//!
//! `{{ cluster }}`, `{{ window }}` and `{{ namespace }}` are replaced; everything else is left as written. It refuses
//! templates that could not tell the clusters apart.

use jiff::SignedDuration;

/// Why a query template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Both clusters would be asked the same question.
    #[error("does not mention {{{{ cluster }}}}, so both clusters would give the same numbers")]
    NoCluster,
    /// It looks back as far as it pleases.
    #[error("does not mention {{{{ window }}}}, so it cannot be told what was counted since when")]
    NoWindow,
    /// A placeholder nobody fills.
    #[error("{{{{ {0} }}}} is not a placeholder")]
    Unknown(String),
    /// `{{` without `}}`.
    #[error("has {{{{ without }}}}")]
    Unclosed,
}

impl TemplateError {
    /// What to write instead.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoCluster => "add a label such as cluster=\"{{ cluster }}\"",
            Self::NoWindow => "count with increase(...[{{ window }}])",
            Self::Unknown(_) => "known: {{ cluster }}, {{ window }}, {{ namespace }}",
            Self::Unclosed => "close the placeholder with }}",
        }
    }
}

/// What the placeholders stand for in one question.
#[derive(Debug, Clone, Copy)]
pub struct Values<'a> {
    /// Name of the cluster that is asked about: its kubeconfig context.
    pub cluster: &'a str,
    /// Namespace of the migration.
    pub namespace: &'a str,
    /// How far to look back.
    pub window: SignedDuration,
}

/// Checks that a template has known placeholders, `{{ cluster }}` and `{{ window }}` among them.
pub fn check(template: &str) -> Result<(), TemplateError> {
    let mut names = Vec::new();
    replace(template, |name| {
        names.push(name.to_owned());
        known(name).then(String::new)
    })?;
    let has = |placeholder: &str| names.iter().any(|name| name == placeholder);
    match (has("cluster"), has("window")) {
        (false, _) => Err(TemplateError::NoCluster),
        (true, false) => Err(TemplateError::NoWindow),
        (true, true) => Ok(()),
    }
}

/// The query for one cluster.
pub fn render(template: &str, values: Values<'_>) -> Result<String, TemplateError> {
    replace(template, |name| match name {
        "cluster" => Some(values.cluster.to_owned()),
        "namespace" => Some(values.namespace.to_owned()),
        "window" => Some(format!("{}ms", values.window.as_millis().max(1))),
        _ => None,
    })
}

fn known(name: &str) -> bool {
    matches!(name, "cluster" | "window" | "namespace")
}

fn replace(template: &str, mut value: impl FnMut(&str) -> Option<String>) -> Result<String, TemplateError> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(TemplateError::Unclosed)?;
        let name = name.trim();
        out.push_str(before);
        out.push_str(&value(name).ok_or_else(|| TemplateError::Unknown(name.to_owned()))?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills_placeholders() {
        let values = Values { cluster: "blue", namespace: "shop", window: SignedDuration::from_secs(60) };
        let query = "sum(increase(x{cluster=\"{{ cluster }}\",ns=\"{{namespace}}\"}[{{ window }}]))";
        assert_eq!(render(query, values).unwrap(), "sum(increase(x{cluster=\"blue\",ns=\"shop\"}[60000ms]))");
    }

    #[test]
    fn refuses_what_cannot_work() {
        assert_eq!(check("sum(up)"), Err(TemplateError::NoCluster));
        assert_eq!(check("{{ cluster }} {{ klaster }}"), Err(TemplateError::Unknown("klaster".into())));
        assert_eq!(check("{{ cluster }} {{ "), Err(TemplateError::Unclosed));
        assert_eq!(check("up{c=\"{{cluster}}\"}"), Err(TemplateError::NoWindow));
        assert_eq!(check("increase(x{c=\"{{cluster}}\"}[{{window}}])"), Ok(()));
    }
}
