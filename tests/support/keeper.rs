//! A daemon that ends with the test process, however that ends.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// The test process holds the other end of this script's stdin: its end closes the pipe and lets `cat` return. Then the daemon is
/// told to end, what it left mounted is unmounted, and its folder is removed.
const SCRIPT: &str = r#"
folder=$1; shift
"$@" >"$folder/log" 2>&1 </dev/null &
daemon=$!
cat >/dev/null
kill "$daemon" 2>/dev/null
wait "$daemon"
grep -o " $folder/[^ ]*" /proc/mounts | sort -r | while read -r mount; do umount "$mount" 2>/dev/null; done
rm -rf "$folder"
"#;

/// A running daemon and its folder. Dropping it ends the daemon and removes the folder. A static one is never dropped: then the end of the
/// process does the same.
#[derive(Debug)]
pub struct Keeper {
    child: Child,
    pipe: Option<ChildStdin>,
    folder: PathBuf,
}

/// A new folder for a daemon; [`Keeper::start`] takes it over.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    tempfile::Builder::new().prefix(&format!("{name}-")).tempdir().expect("a folder for a daemon").keep()
}

impl Keeper {
    /// Starts a command that must not fork into the background.
    #[must_use]
    pub fn start(folder: PathBuf, command: &[OsString]) -> Self {
        assert!(rustix::process::getuid().is_root(), "{:?} needs root: run the tests as root", command.first());
        // Daemons look for their helpers in sbin, which is not on every user's path.
        let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
        let mut keeper = Command::new("bash");
        keeper.args(["-c", SCRIPT, "keeper"]).arg(&folder).args(command).env("PATH", path);
        let mut child = keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("bash");
        let pipe = child.stdin.take();
        Self { child, pipe, folder }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the daemon has written.
    #[must_use]
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.folder.join("log")).unwrap_or_default()).into_owned()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // Fails only when it was waited for already.
        let _ = self.child.wait();
    }
}
