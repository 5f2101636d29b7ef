//! Resident memory of the server's own process: after its start, after an ordinary envelope, and at its highest while
//! 25 MiB are uploaded, signed and sealed.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use countersign_core::{limits, scope::Scopes};
use countersign_server::config::Config;
use serde_json::{Value, json};
use tokio::runtime;

use crate::{
    Failure,
    house::{Folder, config},
    lifecycle::{Links, Users},
};

/// Pages of the large file, each one image.
const PAGES: usize = 10;

/// A server that ends with the measurement.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It is ours, and there is nobody to tell if it has ended already.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

impl Server {
    /// A line of `/proc/PID/status` in MB.
    fn status_mb(&self, name: &str) -> Result<f64, Failure> {
        status_mb(self.0.id(), name)
    }

    /// Lets the highest mark start from here (proc_pid_clear_refs(5)).
    fn forget_peak(&self) -> Result<(), Failure> {
        Ok(fs::write(format!("/proc/{}/clear_refs", self.0.id()), "5")?)
    }
}

/// What the system says of a process's memory (proc_pid_status(5)).
pub(crate) fn status_mb(process: u32, name: &str) -> Result<f64, Failure> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("status lacks a line")?;
    let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024.0 / 1_000_000.0)
}

fn command(program: &Path, config: &Config) -> Command {
    let mut command = Command::new(program);
    command
        .env("COUNTERSIGN_SERVER__LISTEN", config.server.listen.to_string())
        .env("COUNTERSIGN_SERVER__PUBLIC_URL", &config.server.public_url)
        .env("COUNTERSIGN_SERVER__DATA_DIR", &config.server.data_dir)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn output(command: &mut Command) -> Result<String, Failure> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?.trim().to_owned());
    }
    Err(format!("{command:?} ended with {}", output.status).into())
}

/// Measures the server that `program` is.
pub(crate) fn measure(program: &Path) -> Result<Value, Failure> {
    let folder = Folder::new()?;
    let config = config(folder.path())?;
    let organization = output(command(program, &config).args(["organizations", "create", "Bench"]))?;
    let mut create = command(program, &config);
    create.args(["keys", "create", "--organization", &organization]);
    for scope in Scopes::FOR_KEYS.iter() {
        create.args(["--scope", scope.text()]);
    }
    let token = output(&mut create)?;
    let server = Server(command(program, &config).arg("serve").stdout(Stdio::null()).spawn()?);
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(observe(&server, &config, &token))
}

async fn observe(server: &Server, config: &Config, token: &str) -> Result<Value, Failure> {
    let users = ready(config, token).await?;
    let at_rest = Duration::from_secs(2);
    tokio::time::sleep(at_rest).await;
    let started = server.status_mb("VmRSS")?;
    let small = pdf(2_000);
    users.live(b"small", small).await?;
    tokio::time::sleep(at_rest).await;
    let used = server.status_mb("VmRSS")?;
    server.forget_peak()?;
    let large = pdf(limits::UPLOAD_BYTES / PAGES - 400);
    let large_bytes = large.len();
    users.live(b"large", large).await?;
    let peak = server.status_mb("VmHWM")?;
    tokio::time::sleep(at_rest).await;
    Ok(json!({
        "idle_mb": started,
        "idle_after_use_mb": used,
        "peak_mb": peak,
        "idle_after_peak_mb": server.status_mb("VmRSS")?,
        "peak_pdf_bytes": large_bytes,
    }))
}

/// Waits until the server answers.
async fn ready(config: &Config, token: &str) -> Result<Users, Failure> {
    for _ in 0..400 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let Ok(users) = Users::new(config, token, Links::Mailbox) else { continue };
        if users.api.get("/ready").await.is_ok() {
            return Ok(users);
        }
    }
    Err("the server did not start".into())
}

/// A PDF whose pages are images of about `image_bytes` that nothing can compress.
fn pdf(image_bytes: usize) -> Vec<u8> {
    let height = image_bytes / 300;
    let mut file = Vec::from(&b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n"[..]);
    let mut offsets = Vec::new();
    let mut object = |file: &mut Vec<u8>, body: &[u8]| {
        offsets.push(file.len());
        let number = offsets.len();
        file.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        file.extend_from_slice(body);
        file.extend_from_slice(b"\nendobj\n");
    };
    let kids: Vec<String> = (0..PAGES).map(|page| format!("{} 0 R", 3 + 3 * page)).collect();
    object(&mut file, b"<< /Type /Catalog /Pages 2 0 R >>");
    object(&mut file, format!("<< /Type /Pages /Count {PAGES} /Kids [{}] >>", kids.join(" ")).as_bytes());
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for page in 0..PAGES {
        let (content, image) = (4 + 3 * page, 5 + 3 * page);
        let dictionary = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content} 0 R \
             /Resources << /XObject << /I {image} 0 R >> >> >>"
        );
        object(&mut file, dictionary.as_bytes());
        let draw = "q 500 0 0 700 40 70 cm /I Do Q";
        let stream = format!("<< /Length {} >>\nstream\n{draw}\nendstream", draw.len());
        object(&mut file, stream.as_bytes());
        let mut image = format!(
            "<< /Type /XObject /Subtype /Image /Width 100 /Height {height} /ColorSpace /DeviceRGB \
             /BitsPerComponent 8 /Length {} >>\nstream\n",
            height * 300
        )
        .into_bytes();
        // Bytes of a linear congruential generator: noise is all that is asked of them.
        image.extend((0..height * 300).map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        }));
        image.extend_from_slice(b"\nendstream");
        object(&mut file, &image);
    }
    let start = file.len();
    file.extend_from_slice(format!("xref\n0 {}\n0000000000 65535 f \n", offsets.len() + 1).as_bytes());
    for offset in &offsets {
        file.extend_from_slice(format!("{offset:010} 00000 n \n").as_bytes());
    }
    let trailer =
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n", offsets.len() + 1);
    file.extend_from_slice(trailer.as_bytes());
    file
}
