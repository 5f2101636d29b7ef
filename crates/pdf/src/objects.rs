//! Objects that an update adds to a file: drawn by `place` and `certify`, written (and encrypted, where the
//! file is) by the seal.

use lopdf::Object;
pub use lopdf::ObjectId;

/// A growing set of new indirect objects, numbered from the first free number of the file.
#[derive(Debug)]
pub struct NewObjects {
    next: u32,
    objects: Vec<(ObjectId, Object)>,
}

impl NewObjects {
    /// Starts at `first_free`, the file's `/Size`.
    pub fn new(first_free: u32) -> Self {
        Self { next: first_free, objects: Vec::new() }
    }

    /// Takes a number whose object follows with [`Self::put`].
    pub fn reserve(&mut self) -> ObjectId {
        let id = (self.next, 0);
        self.next += 1;
        id
    }

    /// Gives a reserved number its object.
    pub fn put(&mut self, id: ObjectId, object: impl Into<Object>) {
        self.objects.push((id, object.into()));
    }

    /// Adds an object under the next number.
    pub fn add(&mut self, object: impl Into<Object>) -> ObjectId {
        let id = self.reserve();
        self.put(id, object);
        id
    }

    /// The objects in the order in which they were put, and the next free number.
    pub fn into_parts(self) -> (Vec<(ObjectId, Object)>, u32) {
        (self.objects, self.next)
    }
}
