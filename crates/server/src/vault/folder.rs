//! One folder of blobs for one database: several servers over one database must see the same files. An id in both tells.

use countersign_store::{Store, blob::Blobs};

use crate::{
    app::draw,
    fault::Fault,
    keys::{Making, blob_folder},
};

/// The blob that holds the folder's id.
pub const FOLDER_ID: &str = "folder-id";

/// Refuses a folder that is not the database's. At the first start they are made for each other: the folder first, so
/// that the next start makes up for one that was killed between the two.
pub(crate) async fn check(making: &Making<'_>, blobs: &dyn Blobs) -> Result<(), Fault> {
    examine(making.store, blobs).await?;
    if blob_folder(making.store).await?.is_some() {
        return Ok(());
    }
    let id = if let Some(found) = id_in(blobs).await? {
        found
    } else {
        let id = hex::encode(draw::<16>(making.random));
        blobs.put(FOLDER_ID, id.clone().into_bytes()).await?;
        id
    };
    // Another server may have been first, with a folder of its own.
    if making.take_blob_folder(&id).await? == id { Ok(()) } else { Err(strange()) }
}

/// The same, and makes nothing: before the first start there is neither, or at most the folder's id.
pub(crate) async fn examine(store: &dyn Store, blobs: &dyn Blobs) -> Result<(), Fault> {
    match (blob_folder(store).await?, id_in(blobs).await?) {
        (Some(known), Some(found)) if known == found => Ok(()),
        (Some(_), _) => Err(strange()),
        (None, None) => Ok(()),
        (None, Some(_)) if blobs.names().await? == [FOLDER_ID] => Ok(()),
        (None, Some(_)) => Err(forgotten()),
    }
}

fn forgotten() -> Fault {
    Fault::Unsafe(
        "the folder `blobs` in server.data_dir holds documents, and the database knows none: it is a new one. Put the \
         database back (countersign.sqlite in server.data_dir, or the one that server.database_url_file names), or \
         begin anew with another server.data_dir"
            .to_owned(),
    )
}

async fn id_in(blobs: &dyn Blobs) -> Result<Option<String>, Fault> {
    Ok(blobs.get(FOLDER_ID).await?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

fn strange() -> Fault {
    Fault::Unsafe(
        "the folder `blobs` in server.data_dir is not the one that the database knows, so documents would be missing: \
         all servers of one database need the same folder (shared storage), and a restored database its own folder"
            .to_owned(),
    )
}
