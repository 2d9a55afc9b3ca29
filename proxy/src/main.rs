//! The one binary of Sealgate.

fn main() -> std::process::ExitCode {
    sealgate::cli::main()
}
