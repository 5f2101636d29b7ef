//! One folder of blobs for one database: several servers over one database must see the same files. An id in both tells.

use countersign_store::blob::Blobs;

use crate::{app::draw, fault::Fault, keys::Making};

/// The blob that holds the folder's id.
pub const FOLDER_ID: &str = "folder-id";

/// Refuses a folder that is not the database's. At the first start they are made for each other: the folder first, so
/// that the next start makes up for one that was killed between the two.
pub(crate) async fn check(making: &Making<'_>, blobs: &dyn Blobs) -> Result<(), Fault> {
    let found = blobs.get(FOLDER_ID).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let id = match (making.blob_folder().await?, found) {
        (Some(known), Some(found)) if known == found => return Ok(()),
        (Some(_), _) => return Err(strange()),
        // A start that was killed between the two left the id, and nothing else.
        (None, Some(found)) if blobs.names().await? == [FOLDER_ID] => found,
        (None, Some(_)) => return Err(forgotten()),
        (None, None) => {
            let id = hex::encode(draw::<16>(making.random));
            blobs.put(FOLDER_ID, id.clone().into_bytes()).await?;
            id
        }
    };
    // Another server may have been first, with a folder of its own.
    if making.take_blob_folder(&id).await? == id { Ok(()) } else { Err(strange()) }
}

fn forgotten() -> Fault {
    Fault::Unsafe(
        "the folder `blobs` in server.data_dir holds documents, and the database knows none: it is a new one. Put the \
         database back (countersign.sqlite in server.data_dir, or the one that server.database_url_file names), or \
         begin anew with another server.data_dir"
            .to_owned(),
    )
}

fn strange() -> Fault {
    Fault::Unsafe(
        "the folder `blobs` in server.data_dir is not the one that the database knows, so documents would be missing: \
         all servers of one database need the same folder (shared storage), and a restored database its own folder"
            .to_owned(),
    )
}
