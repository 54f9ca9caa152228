use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::reaper;
use super::wait::wait_until;

/// A Redis of its own, that keeps nothing on disk. Killed when dropped.
pub struct Redis {
    port: u16,
    server: Child,
}

impl Redis {
    /// # Panics
    /// When it cannot be started.
    pub fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let port = free.port();
        Self { port, server: serve(port) }
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Stops all its threads: it hangs, until [`Redis::thaw`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        // A child of ours that was not reaped: the number is still its own.
        kill_process(Pid::from_child(&self.server), signal).expect("a child of ours");
    }

    /// `kill -9`: what it held is gone.
    ///
    /// # Panics
    /// When it survives that.
    pub fn kill(&mut self) {
        self.server.kill().expect("killed");
        self.server.wait().expect("a child of ours");
        reaper::ended(self.server.id());
    }

    /// Starts it again at its address, empty.
    pub fn restart(&mut self) {
        self.server = serve(self.port);
    }

    /// The answer to one command, without its framing.
    ///
    /// # Panics
    /// When Redis does not answer, or with an error.
    pub fn ask(&self, words: &[&[u8]]) -> Vec<u8> {
        ask(self.port, words).unwrap_or_else(|error| panic!("redis: {error}"))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // One that is gone already is as good.
        let _ = self.server.kill();
        let _ = self.server.wait();
        reaper::ended(self.server.id());
    }
}

fn serve(port: u16) -> Child {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
    let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let server = started.unwrap_or_else(|error| panic!("redis-server: {error}; `make setup` installs it"));
    reaper::started(server.id());
    wait_until(Duration::from_secs(20), "redis answers", || ask(port, &[b"PING"]).ok());
    server
}

/// RESP, the protocol of Redis: as much of it as single answers need.
fn ask(port: u16, words: &[&[u8]]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).into_bytes());
        request.extend_from_slice(word);
        request.extend(b"\r\n");
    }
    stream.write_all(&request)?;
    let mut answer = BufReader::new(stream);
    let mut line = String::new();
    answer.read_line(&mut line)?;
    let (kind, text) = line.trim_end().split_at_checked(1).unwrap_or_default();
    match kind {
        "$" => {
            let mut bytes = vec![0; text.parse().unwrap_or(0)];
            answer.read_exact(&mut bytes)?;
            Ok(bytes)
        }
        "+" | ":" => Ok(text.as_bytes().to_vec()),
        _ => Err(std::io::Error::other(line)),
    }
}
