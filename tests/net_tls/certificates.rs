//! Certificates that `openssl` makes: good ones, an old one, and those of somebody else.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use millstream::net::{ClientTls, ServerTls};

/// A folder with all of them. Each is NAME.pem with its key in NAME.key.
pub struct Certificates(PathBuf);

/// Those of this test process.
pub fn certificates() -> &'static Certificates {
    static MADE: OnceLock<Certificates> = OnceLock::new();
    MADE.get_or_init(Certificates::make)
}

/// What the folder of a test process is called, before its number.
const FOLDER: &str = "certificates-";

/// Removes the folders of processes that are over.
fn remove_old(all: &Path) {
    for folder in std::fs::read_dir(all).into_iter().flatten().flatten() {
        let name = folder.file_name().into_string().unwrap_or_default();
        let process = name.strip_prefix(FOLDER).map(|id| Path::new("/proc").join(id));
        if process.is_some_and(|process| !process.exists()) {
            let _ = std::fs::remove_dir_all(folder.path());
        }
    }
}

const CONFIG: &str = "
[ca]
default_ca=here
[here]
database=index
new_certs_dir=.
rand_serial=yes
default_md=sha256
unique_subject=no
policy=any
[any]
organizationName=optional
commonName=optional
[req]
distinguished_name=nobody
[nobody]
[authority]
basicConstraints=critical,CA:TRUE
";

impl Certificates {
    fn make() -> Self {
        let all = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        remove_old(&all);
        let folder = all.join(format!("{FOLDER}{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        let it = Self(folder);
        std::fs::write(it.0.join("config"), CONFIG).unwrap();
        std::fs::write(it.0.join("index"), "").unwrap();
        let (from, to) = ("20250101000000Z", "20990101000000Z");
        for authority in ["authority", "stranger"] {
            it.authority(authority);
        }
        let here = "DNS:localhost,IP:127.0.0.1";
        it.signed("server", "authority", "/CN=server", here, from, to);
        it.signed("renewed", "authority", "/CN=server", here, from, to);
        it.signed("desk", "authority", "/O=Somebody/CN=desk 7", "", from, to);
        it.signed(
            "feed",
            "authority",
            "/CN=x",
            "DNS:feed.example,URI:spiffe://here/feed",
            from,
            to,
        );
        it.signed("old", "authority", "/CN=desk 7", here, from, "20250201000000Z");
        it.signed("young", "authority", "/CN=desk 7", here, "20980101000000Z", to);
        it.signed("foreign", "stranger", "/CN=desk 7", here, from, to);
        it
    }

    fn openssl(&self, arguments: &[&str]) {
        let done = Command::new("openssl").args(arguments).current_dir(&self.0).output();
        let done = done.expect("`openssl` is needed for this test");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn authority(&self, name: &str) {
        let (key, pem) = (format!("{name}.key"), format!("{name}.pem"));
        let subject = format!("/CN={name}");
        self.openssl(&[
            "req",
            "-x509",
            "-config",
            "config",
            "-extensions",
            "authority",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "30",
            "-subj",
            &subject,
            "-keyout",
            &key,
            "-out",
            &pem,
        ]);
    }

    fn signed(&self, name: &str, by: &str, subject: &str, names: &str, from: &str, to: &str) {
        let (key, request, pem) =
            (format!("{name}.key"), format!("{name}.request"), format!("{name}.pem"));
        self.openssl(&[
            "req",
            "-config",
            "config",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            subject,
            "-keyout",
            &key,
            "-out",
            &request,
        ]);
        let names = if names.is_empty() { "" } else { &format!("subjectAltName={names}\n") };
        let extensions = format!("{name}.extensions");
        std::fs::write(self.0.join(&extensions), format!("basicConstraints=CA:FALSE\n{names}"))
            .unwrap();
        let (ca_key, ca_pem) = (format!("{by}.key"), format!("{by}.pem"));
        self.openssl(&[
            "ca",
            "-batch",
            "-notext",
            "-config",
            "config",
            "-keyfile",
            &ca_key,
            "-cert",
            &ca_pem,
            "-extfile",
            &extensions,
            "-startdate",
            from,
            "-enddate",
            to,
            "-in",
            &request,
            "-out",
            &pem,
        ]);
    }

    /// A certificate.
    pub fn pem(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.pem"))
    }

    /// Its key.
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}.key"))
    }

    /// A file that is none of both.
    pub fn other(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// TLS for a server.
    pub fn server(&self) -> ServerTls {
        ServerTls::of(self.pem("server"), self.key("server")).unwrap()
    }

    /// TLS for a client.
    pub fn client(&self) -> ClientTls {
        ClientTls::to("localhost", self.pem("authority")).unwrap()
    }
}
