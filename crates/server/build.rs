//! Lists the files under `assets/` so that they are embedded in the binary.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("assets");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    let mut table = String::from("[\n");
    for file in &files {
        let name = file.strip_prefix(&root).map_err(io::Error::other)?.to_string_lossy().replace('\\', "/");
        let place = file.to_str().ok_or_else(|| io::Error::other("the path of an asset is not UTF-8"))?;
        let (name, place) = (name.escape_debug(), place.escape_debug());
        writeln!(table, "    (\"{name}\", include_bytes!(\"{place}\").as_slice()),")
            .map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    let target = Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("assets.rs");
    fs::write(target, table)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
