//! Enums that `xtask.toml` writes as one of a few words.
//!
//! Each word stands once, beside its variant: parser, schema, reference and JSON output all read it there.

/// A type whose every value has one word in `xtask.toml`.
pub(super) trait Choice: Copy + 'static {
    /// The value with that word.
    fn from_name(name: &str) -> Option<Self>;
}

/// Defines an enum whose variants carry their word.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
        pub enum $name {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl $name {
            /// The words of all variants, in their order.
            pub const NAMES: &'static [&'static str] = &[$($word),+];

            /// The word that `xtask.toml` and the JSON output use.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl $crate::config::choice::Choice for $name {
            fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(super) use choice;
