//! Seccomp profiles in annotations become fields. PURE.
//!
//! Up to 1.26 an annotation confined a pod as well as the field does that replaced it in 1.19. Newer servers
//! ignore the annotation: mirrored as it is, the pod would run unconfined and nothing would tell.

use serde_json::{Map, Value, json};

use super::finding::Finding;

/// The annotation for the whole pod.
const POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// The annotation for one container begins like this and ends with its name.
const CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";

/// Moves every profile of the pod template at `path` into its field. A field that is there already wins, as
/// it does on the source.
pub fn modernize(template: &mut Value, path: &str, findings: &mut Vec<Finding>) {
    let annotations = template.pointer("/metadata/annotations").and_then(Value::as_object);
    let is_seccomp = |key: &&String| *key == POD || key.starts_with(CONTAINER);
    let keys: Vec<_> = annotations.into_iter().flat_map(Map::keys).filter(is_seccomp).cloned().collect();
    for key in keys {
        let field = format!("{path}.metadata.annotations[{key}]");
        let finding = match move_profile(template, &key) {
            Some(()) => {
                Finding::notice(field, "is ignored since 1.27; securityContext.seccompProfile is written instead")
            }
            None => Finding::blocks(field, "names no known seccomp profile, or no container of the pod"),
        };
        findings.push(finding);
    }
}

fn move_profile(template: &mut Value, key: &str) -> Option<()> {
    let profile = profile(template.pointer("/metadata/annotations")?.get(key)?.as_str()?)?;
    let confined = match key.strip_prefix(CONTAINER) {
        Some(name) => container(template, name)?,
        None => template.get_mut("spec")?,
    };
    let context = confined.as_object_mut()?.entry("securityContext").or_insert_with(|| json!({}));
    context.as_object_mut()?.entry("seccompProfile").or_insert(profile);
    template.pointer_mut("/metadata/annotations")?.as_object_mut()?.remove(key);
    Some(())
}

fn container<'a>(template: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let spec = template.get_mut("spec")?.as_object_mut()?;
    let lists = spec.iter_mut().filter(|(key, _)| *key == "containers" || *key == "initContainers");
    let mut containers = lists.filter_map(|(_, list)| list.as_array_mut()).flatten();
    containers.find(|container| container.get("name").and_then(Value::as_str) == Some(name))
}

/// The field's value for what the annotation says.
fn profile(annotation: &str) -> Option<Value> {
    match annotation {
        "runtime/default" | "docker/default" => Some(json!({"type": "RuntimeDefault"})),
        "unconfined" => Some(json!({"type": "Unconfined"})),
        other => {
            let file = other.strip_prefix("localhost/").filter(|file| !file.is_empty())?;
            Some(json!({"type": "Localhost", "localhostProfile": file}))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Severity;

    #[test]
    fn confines_what_was_confined() {
        let mut template = json!({
            "metadata": {"annotations": {
                POD: "docker/default", format!("{CONTAINER}b"): "localhost/strict.json", format!("{CONTAINER}c"): "unconfined",
                "other": "stays",
            }},
            "spec": {
                "containers": [{"name": "a"}, {"name": "b", "securityContext": {"runAsUser": 1}}],
                "initContainers": [{"name": "c", "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}],
            },
        });
        let mut findings = Vec::new();
        modernize(&mut template, "spec.template", &mut findings);
        assert_eq!(
            template,
            json!({
                "metadata": {"annotations": {"other": "stays"}},
                "spec": {
                    "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                    "containers": [
                        {"name": "a"},
                        {"name": "b", "securityContext": {
                            "runAsUser": 1, "seccompProfile": {"type": "Localhost", "localhostProfile": "strict.json"},
                        }},
                    ],
                    "initContainers": [{"name": "c", "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}],
                },
            })
        );
        assert_eq!(findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Notice; 3]);
    }

    #[test]
    fn what_it_cannot_move_stays_and_blocks() {
        for (key, value) in
            [(POD.to_owned(), "magic"), (format!("{CONTAINER}none"), "unconfined"), (POD.to_owned(), "localhost/")]
        {
            let template = json!({"metadata": {"annotations": {key: value}}, "spec": {"containers": [{"name": "a"}]}});
            let (mut changed, mut findings) = (template.clone(), Vec::new());
            modernize(&mut changed, "spec.template", &mut findings);
            assert_eq!(changed, template);
            assert_eq!(findings.iter().map(|finding| finding.severity).collect::<Vec<_>>(), [Severity::Blocks]);
        }
    }
}
