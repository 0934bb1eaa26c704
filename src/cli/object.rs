//! Migrations that are objects in a home cluster, as the verbs reach them: reports, commands and answers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use kube::ResourceExt;
use kube::api::DynamicObject;
use serde_json::json;

use crate::act::directory::Directory;
use crate::controller::crd::MigrationStatus;
use crate::controller::home::{Home, HomeError, Key};
use crate::controller::{command, status};
use crate::migration::{Command, Reply, Report};

/// Where objects are.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// The Migration objects of this kubeconfig context, instead of the migrations of this machine
    #[arg(long, value_name = "CONTEXT")]
    context: Option<String>,
    /// Migration objects of this namespace [default: the context's]
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// kubeconfig [default: $KUBECONFIG, then ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

/// Between two looks for an answer.
const LOOK: Duration = Duration::from_millis(200);

impl Place {
    /// Whether objects are meant: somebody said so, or asks through `kubectl` where there is no migration of this machine.
    pub(super) fn is_meant(&self, root: &Path) -> bool {
        let said = self.context.is_some() || self.namespace.is_some() || self.kubeconfig.is_some();
        said || super::invoked_as() == "kubectl crossfade" && Directory::all(root).is_empty()
    }

    /// The home cluster.
    pub(super) async fn home(&self) -> anyhow::Result<Home> {
        Ok(Home::connect(self.kubeconfig.as_deref(), self.context.as_deref()).await?)
    }

    /// Every Migration of the namespace.
    pub(super) async fn all(&self, home: &Home) -> anyhow::Result<Vec<DynamicObject>> {
        let namespace = self.namespace.as_deref().unwrap_or_else(|| home.default_namespace());
        let all = home.list_migrations(Some(namespace)).await;
        all.with_context(|| format!("cannot see the migrations of namespace {namespace}"))
    }

    /// The Migration somebody named, or the only one.
    pub(super) async fn find(&self, home: &Home, name: Option<&str>) -> anyhow::Result<Result<DynamicObject, String>> {
        let mut all = self.all(home).await?;
        if let Some(name) = name {
            all.retain(|object| object.name_any() == name || label(object) == name);
        }
        let names = || all.iter().map(label).collect::<Vec<_>>().join(", ");
        Ok(match (all.len(), name) {
            (1, _) => Ok(all.remove(0)),
            (0, Some(name)) => Err(format!("there is no Migration {name}")),
            (0, None) => Err("there is no Migration".to_owned()),
            _ => Err(format!("say which one: {}", names())),
        })
    }
}

/// `namespace.name`, as migrations of this machine are called too.
pub(super) fn label(object: &DynamicObject) -> String {
    format!("{}.{}", object.namespace().unwrap_or_default(), object.name_any())
}

/// The newest report; none where there has not been one yet.
pub(super) fn report(object: &DynamicObject) -> anyhow::Result<Option<Report>> {
    let status = read(object)?;
    let report = status.report.map(serde_json::from_value).transpose();
    report.with_context(|| format!("{} holds no report that can be read", label(object)))
}

/// Why it is not carried out, where it is not.
pub(super) fn refusal(object: &DynamicObject) -> Option<String> {
    let status = status::of(object)?;
    let accepted = status.conditions.into_iter().find(|condition| condition.type_ == status::ACCEPTED)?;
    (accepted.status == "False").then(|| format!("{}: {}", accepted.reason, accepted.message))
}

fn read(object: &DynamicObject) -> anyhow::Result<MigrationStatus> {
    status::of(object).with_context(|| format!("the status of {} cannot be read", label(object)))
}

/// Asks something, and waits for the answer. `None` where there was none in time, and the question was taken back.
pub(super) async fn ask(
    home: &Home,
    object: &DynamicObject,
    asked: &Command,
    patience: Duration,
) -> anyhow::Result<Option<Reply>> {
    let key = Key::of(object);
    let answered = |object: &DynamicObject, id: &str| {
        let replies = status::of(object).map(|status| status.replies).unwrap_or_default();
        replies.into_iter().find(|replied| replied.id == id).map(|replied| replied.reply())
    };
    if let Some(open) = command::of(object).filter(|open| answered(object, &open.id).is_none()) {
        anyhow::bail!("{} asked something that was not answered yet; try again", open.by);
    }
    let text = serde_json::to_string(asked)?;
    // Over the version that was read, so that no other question is lost.
    let version = object.resource_version();
    match home
        .patch_metadata(&key, json!({"annotations": {command::ANNOTATION: text}, "resourceVersion": version}))
        .await
    {
        Err(HomeError::Conflict(_)) => anyhow::bail!("the Migration changed at this very moment; try again"),
        written => written?,
    };
    let look = async {
        loop {
            if let Ok(live) = home.migration(&key).await
                && let Some(reply) = answered(&live, &asked.id)
            {
                return reply;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    if let Ok(reply) = tokio::time::timeout(patience, look).await {
        return Ok(Some(reply));
    }
    let live = home.migration(&key).await?;
    if let Some(reply) = answered(&live, &asked.id) {
        return Ok(Some(reply));
    }
    let version = live.resource_version();
    home.patch_metadata(&key, json!({"annotations": {command::ANNOTATION: null}, "resourceVersion": version})).await?;
    Ok(None)
}

/// Who the API server says is asking; `otherwise` where it does not say.
pub(super) async fn who(home: &Home, otherwise: String) -> String {
    use k8s_openapi::api::authentication::v1::SelfSubjectReview;
    let review = kube::Api::<SelfSubjectReview>::all(home.client());
    let review = review.create(&kube::api::PostParams::default(), &SelfSubjectReview::default()).await;
    let user = review.ok().and_then(|review| review.status?.user_info?.username);
    user.unwrap_or(otherwise)
}
