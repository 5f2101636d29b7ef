//! The real program, several times, over the database and the folder of a test app: what one process would settle in its
//! memory is settled in the database here or nowhere.

use std::{
    fs::{self, File},
    process::{Child, Command, Stdio},
};

use crate::{app::TestApp, crash::service::listening};

/// A server of its own process. It ends with the test.
pub(crate) struct Process {
    server: Child,
    /// Where it is reached.
    pub(crate) url: String,
}

impl Process {
    /// Starts the program beside `test`, whose clock should go: this one has the machine's.
    pub(crate) async fn beside(test: &TestApp, number: usize) -> Self {
        let log = test.folder.path().join(format!("server-{number}.log"));
        let output = File::create(&log).unwrap();
        let (config, egress) = (&test.app.config.server, &test.app.config.egress);
        let ca_file = egress.ca_file.as_ref().map(|file| ("COUNTERSIGN_EGRESS__CA_FILE", file));
        let database = config.database_url_file.as_ref().expect("processes share a PostgreSQL");
        let mut server = Command::new(env!("CARGO_BIN_EXE_countersign"))
            .arg("serve")
            .env("COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:0")
            .env("COUNTERSIGN_SERVER__PUBLIC_URL", &config.public_url)
            .env("COUNTERSIGN_SERVER__DATA_DIR", &config.data_dir)
            .env("COUNTERSIGN_SERVER__DATABASE_URL_FILE", database)
            .env("COUNTERSIGN_LOG__LEVEL", "warn")
            .env("COUNTERSIGN_EGRESS__ALLOW_HOSTS", serde_json::to_string(&egress.allow_hosts).unwrap())
            .envs(ca_file)
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let port = listening(&log, 0, &mut server).await;
        Self { server, url: format!("https://sign.test:{port}") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// What a table of the test's database has in a column of bytes.
pub(crate) async fn column(test: &TestApp, statement: &str) -> Vec<Vec<u8>> {
    let config = &test.app.config.server;
    if let Some(file) = &config.database_url_file {
        let url = fs::read_to_string(file).unwrap();
        return countersign_store::testing::first_column(url.trim(), statement).await.unwrap();
    }
    let database = rusqlite::Connection::open(config.data_dir.join("countersign.sqlite")).unwrap();
    let mut prepared = database.prepare(statement).unwrap();
    let rows = prepared.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}
