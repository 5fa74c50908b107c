//! What is counted by reason, declared once: ports count what happened to connections and records.

/// Declares what is counted, with the names that are shown.
macro_rules! counts {
    ($($(#[$doc:meta])* $count:ident $name:literal,)*) => {
        /// Something that is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Count {
            $($(#[$doc])* $count,)*
        }

        impl Count {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$count,)*];

            /// How it is shown.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$count => $name,)*
                }
            }
        }
    };
}

pub(crate) use counts;
