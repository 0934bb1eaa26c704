//! `crossfade balancer` as people start it, between backends, and in every kind of trouble.

use std::net::SocketAddr;
use std::process::Command;

use async_trait::async_trait;
use crossfade::balancer::Side;
use crossfade::fence::Fence;
use crossfade::plane::balancer::balancer;
use crossfade::plane::conformance::{Beyond, Client, Ground, Property, Trouble, Verdict};
use crossfade::plane::{Plane, PlaneError};
use crossfade::policy::{DrivenBalancer, Weight};
use serde_json::json;

use super::part::{Site, free_address, liar, until_it_serves};

struct Standalone {
    site: Site,
}

pub async fn examined() -> Vec<(Property, Verdict)> {
    let even = Standalone::on(Site::between(2, 2).await).await;
    let uneven = Standalone::on(Site::between(1, 3).await).await;
    super::examined(&even, &uneven).await.unwrap()
}

impl Standalone {
    async fn on(site: Site) -> Self {
        let plane = Self { site };
        let servers = |side| plane.site.servers(side).iter().map(SocketAddr::to_string).collect::<Vec<_>>();
        let file = json!({
            "apiVersion": "crossfade.dev/v1alpha1",
            "kind": "Balancer",
            "metadata": {"name": "edge"},
            "spec": {
                "listen": plane.site.address.to_string(),
                "admin": {"socket": plane.site.file("admin.sock")},
                "state": plane.site.file("kept.json"),
                "source": servers(Side::Source),
                "target": servers(Side::Target),
                "health": {"interval": "20ms", "rise": 1},
            }
        });
        std::fs::write(plane.site.file("edge.yaml"), file.to_string()).unwrap();
        plane.run().await;
        plane
    }

    async fn run(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        self.site.run(command.arg("balancer").arg(self.site.file("edge.yaml")));
        until_it_serves(self).await;
    }

    /// Restores what it has anyway, or another weight.
    async fn restore(&self, to: Option<Weight>) -> Result<(), PlaneError> {
        let plane = self.driver();
        let mut setting = plane.observe().await?.setting;
        if let Some(to) = to {
            setting["theirs"] = to.basis_points().into();
        }
        plane.restore(&Fence::lock(), &setting).await
    }

    /// Somebody's administration at a TCP address, and what is said to it.
    fn at(&self, address: SocketAddr, token: &str) -> Box<dyn Plane> {
        let token_file = self.site.file(&format!("token-{token}"));
        std::fs::write(&token_file, token).unwrap();
        Box::new(balancer(DrivenBalancer::Url { url: format!("http://{address}"), token_file }))
    }
}

#[async_trait]
impl Ground for Standalone {
    fn driver(&self) -> Box<dyn Plane> {
        Box::new(balancer(DrivenBalancer::Socket(self.site.file("admin.sock"))))
    }

    fn client(&self, keeps: bool) -> Box<dyn Client> {
        self.site.client(keeps)
    }

    async fn admit(&self) -> Result<(), Beyond> {
        self.restore(None).await.map_err(|_| Beyond("it does not open the source again"))
    }

    async fn meddle(&self, to: Weight) -> Result<(), Beyond> {
        self.restore(Some(to)).await.map_err(|_| Beyond("it takes no weight from somebody else"))
    }

    async fn restart(&self) -> Result<(), Beyond> {
        self.site.end("TERM").await;
        self.run().await;
        Ok(())
    }

    /// It has nothing but its weight.
    async fn others(&self) -> Result<Option<String>, Beyond> {
        Ok(None)
    }

    async fn lose_target(&self, back: bool) -> Result<(), Beyond> {
        self.site.lose_target(back).await
    }

    fn too_fine(&self) -> Option<Weight> {
        None
    }

    async fn troubles(&self) -> Result<Vec<Trouble>, Beyond> {
        let trouble = |what, plane, means| Trouble { what, plane, means };
        const NOT_LET_IN: &str = "HTTP/1.1 401 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        const HALF: &str = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\nconnection: close\r\n\r\n{\"contract\":";
        let unheard_of = DrivenBalancer::Socket(self.site.file("nowhere.sock"));
        let no_token = DrivenBalancer::Url { url: "http://127.0.0.1:9".to_owned(), token_file: "/nowhere".into() };
        Ok(vec![
            trouble("no such socket", Box::new(balancer(unheard_of)), "unreachable"),
            trouble("no such token", Box::new(balancer(no_token)), "unreachable"),
            trouble("nobody listens", self.at(free_address(), "a"), "unreachable"),
            trouble("no answer", self.at(liar(None).await, "a"), "timed out"),
            trouble("half an answer", self.at(liar(Some(HALF)).await, "a"), "malformed"),
            trouble("the wrong token", self.at(liar(Some(NOT_LET_IN)).await, "b"), "refused"),
        ])
    }
}
