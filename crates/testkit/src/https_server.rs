//! A server of files over HTTPS on this machine, which misbehaves as its paths say; see `https_server.py`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use camino::Utf8PathBuf;

use crate::{Outcome, TempDir};

const SERVER: &str = include_str!("https_server.py");

/// Ends with its last use. It serves the files of its folder.
#[derive(Debug)]
pub struct HttpsServer {
    dir: TempDir,
    server: Child,
    ports: [u16; 2],
}

impl HttpsServer {
    /// Starts one, with a certificate for `localhost` by an authority of its own.
    ///
    /// # Panics
    /// When `openssl` or `python3` is missing.
    pub fn start(name: &str) -> Self {
        let dir = TempDir::new(name);
        let path = |name: &str| dir.path().join(name).into_string();
        let openssl = |args: &str| {
            let mut command = Command::new("openssl");
            // Elliptic curves, because a key of RSA takes up to a second to make.
            Outcome::of(command.args(args.split(' ')).current_dir(dir.path())).expect_code(0);
        };
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=test-authority"));
        openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
        dir.write("server.ext", "subjectAltName=DNS:localhost\n");
        openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile server.ext \
             -out server.pem",
        );
        std::fs::create_dir_all(dir.path().join("files")).expect("a folder");
        let mut server = Command::new("python3")
            .args(["-c", SERVER, &path("files"), &path("server.pem"), &path("server.key")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut ports = String::new();
        let stdout = server.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut ports).expect("the server says its port");
        let mut ports = ports.split_whitespace().map(|port| port.parse().expect("a port"));
        let mut next = || ports.next().expect("two ports");
        Self { ports: [next(), next()], dir, server }
    }

    /// What a client has to trust: the value of `CURL_CA_BUNDLE`.
    pub fn authority(&self) -> Utf8PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// The folder of the files that it serves.
    pub fn files(&self) -> Utf8PathBuf {
        self.dir.path().join("files")
    }

    /// The address of `path`, whose first part is the mode.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}/{path}", self.ports[0])
    }

    /// The same server without TLS, which is a proxy too: one that refuses.
    pub fn plain_url(&self) -> String {
        format!("http://localhost:{}", self.ports[1])
    }

    /// The requests so far: scheme, path, and range or `-`.
    pub fn requests(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.files().join("requests")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for HttpsServer {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
