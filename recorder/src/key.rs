//! Dictionary keys and set elements, equal as Python compares them, without running any of its code.
//!
//! Model: `1`, `1.0` and `True` are one key. A key whose equality is defined by user code has no name here; the
//! recorder then uses the whole container as the location.

use frontrun_formats::ObjectId;

/// A key by value, or by identity where that is what equality means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// `None`, `...`, `NotImplemented`: by name.
    Singleton(&'static str),
    /// An integer, a bool, or a float of integral value.
    Int(i64),
    /// An integer beyond 64 bits, in decimal.
    BigInt(Box<str>),
    /// A float that is no integer, by its bits.
    Float(u64),
    /// A string.
    Str(Box<str>),
    /// A byte string.
    Bytes(Box<[u8]>),
    /// A tuple of keys.
    Tuple(Box<[Key]>),
    /// An object that is equal to itself alone.
    Identity(ObjectId),
}

impl Key {
    /// The key of a float.
    pub fn float(value: f64) -> Key {
        if value.fract() == 0.0 && value.abs() < 9.0e18 {
            Key::Int(value as i64)
        } else {
            Key::Float(value.to_bits())
        }
    }

    /// How a report prints it.
    pub fn text(&self) -> String {
        match self {
            Key::Singleton(name) => (*name).to_owned(),
            Key::Int(value) => value.to_string(),
            Key::BigInt(digits) => digits.to_string(),
            Key::Float(bits) => f64::from_bits(*bits).to_string(),
            Key::Str(text) => format!("'{text}'"),
            Key::Bytes(bytes) => format!("b'{}'", bytes.escape_ascii()),
            Key::Tuple(parts) => {
                let parts: Vec<String> = parts.iter().map(Key::text).collect();
                format!("({})", parts.join(", "))
            }
            Key::Identity(object) => format!("<object {}>", object.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integral_floats_are_integers() {
        assert_eq!(Key::float(1.0), Key::Int(1));
        assert_ne!(Key::float(1.5), Key::Int(1));
    }
}
