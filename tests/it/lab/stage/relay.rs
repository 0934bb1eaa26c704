//! One host name for both sides, as an ingress may have: `/blue` and `/green` lead to the nodes of either cluster, past the edge.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::Lab;

/// Where both sides answer, for as long as the tests run.
pub fn relay(lab: &Lab) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let node = |name: &str| format!("{}:{}", lab.env(name), lab.env("XF_NODE_PORT"));
    let (blue, green) = (node("XF_BLUE_NODE"), node("XF_GREEN_NODE"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let node = if asks_for_green(&mut stream) { &green } else { &blue };
            // A node that does not answer is no answer here either.
            let _ = answer(node).and_then(|answer| stream.write_all(&answer));
        }
    });
    url
}

fn asks_for_green(stream: &mut TcpStream) -> bool {
    let mut head = [0; 1024];
    let read = stream.read(&mut head).unwrap_or_default();
    head[..read].starts_with(b"GET /green ")
}

fn answer(node: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(node)?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: checkout\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
