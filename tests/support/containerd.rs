//! A containerd of the tests' own, and `ctr`: the client that asks a mirror with `?ns=` and shows only the reason phrase.

use std::ffi::OsString;
use std::time::Duration;

use crate::keeper::{self, Keeper};
use crate::process::wait_until;
use crate::program::{Outcome, Program, require};

/// A running containerd whose every registry is one host, closed: that host is both server and mirror.
#[derive(Debug)]
pub struct Containerd {
    keeper: Keeper,
}

impl Containerd {
    /// Starts one that pulls everything from `url`.
    #[must_use]
    pub fn start(url: &str) -> Self {
        let folder = keeper::folder("containerd");
        let hosts = folder.join("hosts/_default");
        std::fs::create_dir_all(&hosts).expect("a folder for hosts.toml");
        let toml = format!("server = \"{url}\"\n[host.\"{url}\"]\n  capabilities = [\"pull\", \"resolve\"]\n");
        std::fs::write(hosts.join("hosts.toml"), toml).expect("hosts.toml");
        let config = format!(
            "version = 2\nroot = \"{0}/root\"\nstate = \"{0}/state\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\n  address = \"{0}/containerd.sock\"\n",
            folder.display()
        );
        std::fs::write(folder.join("config.toml"), config).expect("containerd's config");
        let command = [require("containerd").into_os_string(), OsString::from("--config"), folder.join("config.toml").into_os_string()];
        let containerd = Self { keeper: Keeper::start(folder, &command) };
        let up = wait_until(Duration::from_secs(30), || containerd.ctr(["version"]).succeeded());
        assert!(up, "containerd does not answer:\n{}", containerd.keeper.log());
        containerd
    }

    /// Pulls `reference`, which needs its registry's name written out.
    #[must_use]
    pub fn pull(&self, reference: &str) -> Outcome {
        let hosts = self.keeper.folder().join("hosts");
        self.ctr(["images".as_ref(), "pull".as_ref(), "--hosts-dir".as_ref(), hosts.as_os_str(), reference.as_ref()])
    }

    /// The digest under which it holds `reference`, if it does.
    #[must_use]
    pub fn digest(&self, reference: &str) -> Option<String> {
        let listed = self.ctr(["images", "list", &format!("name=={reference}")]).stdout;
        listed.split_whitespace().find(|word| word.starts_with("sha256:")).map(str::to_owned)
    }

    fn ctr<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, arguments: I) -> Outcome {
        Program::new("ctr").arg("--address").arg(self.keeper.folder().join("containerd.sock")).args(arguments).run()
    }
}
