//! File capabilities (capabilities(7); Linux's `struct vfs_cap_data`).

/// By number, `include/uapi/linux/capability.h`.
const NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// The permitted and inheritable capabilities of an attribute in hex. What is no such attribute is told as it is.
pub fn names(hex: &str) -> Vec<String> {
    let bytes: Option<Vec<u8>> = (0..hex.len() / 2).map(|at| u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()).collect();
    let word = |at: usize| {
        let bytes: [u8; 4] = bytes.as_ref()?.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    };
    // Magic and flags, then permitted and inheritable, the lower 32 numbers first.
    let sets = (|| Some(word(4)? | word(8)? | (word(12)? | word(16)?) << 32))();
    let Some(sets) = sets else { return vec![format!("unknown: {hex}")] };
    let known = NAMES.iter().enumerate().filter(|(number, _)| sets >> number & 1 == 1).map(|(_, name)| (*name).to_owned());
    let unknown = sets >> NAMES.len();
    known.chain((unknown > 0).then(|| format!("unknown: {:#x}", unknown << NAMES.len()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_names() {
        // What `setcap cap_net_raw,cap_net_admin+ep` writes.
        assert_eq!(names("0100000200300000000000000000000000000000"), ["cap_net_admin", "cap_net_raw"]);
        assert_eq!(names("01000002"), ["unknown: 01000002"]);
        assert_eq!(names("0100000200000000000000000000000000008000"), ["unknown: 0x80000000000000"]);
    }
}
