//! Which keys a subscriber has been given the latest frame of.
//!
//! He is given them some at a time, in their order, whenever he has been sent all that there is in
//! the log of those before them. So no step does more the more keys there are, and of each key he
//! gets the latest once, and then every one.

use std::rc::Rc;

use crate::net::outlet::keyed::{GATHERED, Keyed, Wish};

/// How far one has been given them. By default there are none that he is to be given.
#[derive(Default)]
pub struct Given {
    is_on: bool,
    /// The last one.
    upto: Option<Rc<str>>,
}

impl Given {
    /// Nothing yet.
    pub fn nothing() -> Self {
        Self { is_on: true, upto: None }
    }

    /// Whether he will be given none.
    #[inline]
    pub fn is_all(&self) -> bool {
        !self.is_on
    }

    /// Whether he has been given this one, or will not be.
    #[inline]
    pub fn has(&self, name: &str) -> bool {
        self.is_all() || self.upto.as_deref().is_some_and(|upto| name <= upto)
    }
}

impl Wish {
    /// Gives some more keys, of those that are wanted.
    pub(super) fn give<T: 'static>(
        &mut self,
        keyed: &Keyed<T>,
        looks: &mut usize,
        into: &mut Vec<u8>,
    ) {
        let (mut keys, mut last) = (keyed.behind(self.given.upto.as_deref()), None);
        while *looks > 0 && into.len() < GATHERED {
            let Some(latest) = keys.next() else { return self.given = Given::default() };
            if self.wants(latest.key) {
                into.extend_from_slice(&latest.frame);
            }
            last = Some(&latest.name);
            *looks -= 1;
        }
        if let Some(last) = last {
            self.given.upto = Some(Rc::clone(last));
        }
    }
}
