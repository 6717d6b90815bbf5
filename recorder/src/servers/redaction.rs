//! What is not to be in a recording, replaced by as many `x`.
//!
//! Model: a glob matches text of printable ASCII characters without spaces, as much as it can: `*` is any run of them, `?`
//! is one. Only where a protocol has text is anything replaced, so that what is served again keeps its form.
//!
//! Not here: when something is recorded (inputs).

/// A glob on what is received.
#[derive(Clone, Debug)]
pub struct Glob(Vec<u8>);

/// The form of what was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Whole messages of PostgreSQL.
    Messages,
    /// Lines, as of Redis, and whatever else.
    #[default]
    Lines,
}

/// What begins the answers of Redis, before a number or a text.
const MARKS: &[u8] = b"+-:$*_#,(!=%~>|";

impl Glob {
    /// Understands a glob; `None` for one without any character to look for.
    pub fn new(text: &str) -> Option<Glob> {
        text.bytes().any(|byte| !matches!(byte, b'*' | b'?')).then(|| Glob(text.as_bytes().to_vec()))
    }

    /// How many bytes match from each position of `text` on, at the most; 0 for none. From the end of the text on, each
    /// rest of the glob is tried once at each position, so that long answers take no longer than their length says.
    fn lengths(&self, text: &[u8]) -> Vec<usize> {
        let Glob(glob) = self;
        let mut behind: Vec<Option<usize>> = vec![None; glob.len() + 1];
        behind[glob.len()] = Some(0);
        let mut here = behind.clone();
        for at in (0..glob.len()).rev().take_while(|at| glob[*at] == b'*') {
            behind[at] = Some(0);
        }
        let mut lengths = vec![0; text.len()];
        for (length, byte) in lengths.iter_mut().zip(text).rev() {
            let one_more = |rest: Option<usize>, fits: bool| rest.filter(|_| fits).map(|n| n + 1);
            for at in (0..glob.len()).rev() {
                here[at] = match glob[at] {
                    b'*' => here[at + 1].max(one_more(behind[at], byte.is_ascii_graphic())),
                    b'?' => one_more(behind[at + 1], byte.is_ascii_graphic()),
                    literal => one_more(behind[at + 1], literal == *byte),
                };
            }
            *length = here[0].unwrap_or(0);
            std::mem::swap(&mut here, &mut behind);
        }
        lengths
    }
}

/// Replaces what the globs match.
pub fn redact(globs: &[Glob], form: Form, bytes: &mut [u8]) {
    if globs.is_empty() {
        return;
    }
    match form {
        Form::Messages => redact_messages(globs, bytes),
        Form::Lines => bytes.split_mut(|byte| *byte == b'\n').for_each(|line| {
            let is_number = line
                .get(1..)
                .is_some_and(|rest| rest.strip_suffix(b"\r").unwrap_or(rest).iter().all(u8::is_ascii_digit));
            match line.first() {
                Some(mark) if MARKS.contains(mark) && is_number => {}
                Some(mark) if MARKS.contains(mark) => redact_text(globs, &mut line[1..]),
                _ => redact_text(globs, line),
            }
        }),
    }
}

fn redact_text(globs: &[Glob], text: &mut [u8]) {
    let lengths: Vec<Vec<usize>> = globs.iter().map(|glob| glob.lengths(text)).collect();
    let mut at = 0;
    while at < text.len() {
        let length = lengths.iter().map(|lengths| lengths[at]).max().unwrap_or(0);
        text[at..at + length].fill(b'x');
        at += length.max(1);
    }
}

/// Replaces in the texts of messages: the fields of rows, copied data, errors and notices.
fn redact_messages(globs: &[Glob], mut bytes: &mut [u8]) {
    while let Some(length) = message_length(bytes).filter(|length| *length <= bytes.len()) {
        let (message, rest) = std::mem::take(&mut bytes).split_at_mut(length);
        match message[0] {
            b'D' => redact_fields(globs, message.get_mut(7..).unwrap_or_default()),
            b'd' | b'E' | b'N' => redact_text(globs, &mut message[5..]),
            _ => {}
        }
        bytes = rest;
    }
}

fn redact_fields(globs: &[Glob], mut fields: &mut [u8]) {
    while let Some((head, rest)) = std::mem::take(&mut fields).split_first_chunk_mut::<4>() {
        // NULL has the length -1.
        let length = usize::try_from(i32::from_be_bytes(*head)).unwrap_or(0).min(rest.len());
        let (field, later) = rest.split_at_mut(length);
        redact_text(globs, field);
        fields = later;
    }
}

/// The length of the message of PostgreSQL that begins here, as far as it can be told.
pub fn message_length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(bytes.get(1..5)?.try_into().ok()?);
    Some(1 + (length as usize).max(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(globs: &[&str], form: Form, bytes: &[u8]) -> Vec<u8> {
        let globs: Vec<Glob> = globs.iter().filter_map(|text| Glob::new(text)).collect();
        let mut bytes = bytes.to_vec();
        redact(&globs, form, &mut bytes);
        bytes
    }

    #[test]
    fn as_many_characters_are_replaced_as_match() {
        let text = b"to bob@x.org, sk_live_123\r\n";
        assert_eq!(redacted(&["*@*.org"], Form::Lines, text), b"to xxxxxxxxx, sk_live_123\r\n");
        assert_eq!(redacted(&["sk_????"], Form::Lines, text), b"to bob@x.org, xxxxxxx_123\r\n");
        assert_eq!(redacted(&["*"], Form::Lines, text), text);
    }

    #[test]
    fn a_long_text_takes_no_longer_than_its_length_says() {
        let mut text = vec![b'a'; 300_000];
        assert_eq!(redacted(&["*a*@*.org", "a*b"], Form::Lines, &text), text);
        text.extend(b"@x.org");
        assert_eq!(redacted(&["*a*@*.org"], Form::Lines, &text), vec![b'x'; text.len()]);
    }

    #[test]
    fn what_frames_an_answer_of_redis_is_kept() {
        assert_eq!(
            redacted(&["*5*"], Form::Lines, b"$5\r\na5bcd\r\n:5\r\n+a5\r\n"),
            b"$5\r\nxxxxx\r\n:5\r\n+xx\r\n"
        );
    }

    #[test]
    fn what_frames_a_row_of_postgres_is_kept() {
        // One row of a field of 36 bytes, whose length is a printable character, and the end of the command.
        let row = [&b"D\0\0\0\x2e\0\x01\0\0\0$"[..], &[b's'; 36], b"C\0\0\0\x0dSELECT 1\0"].concat();
        let expected = [&b"D\0\0\0\x2e\0\x01\0\0\0$"[..], &[b'x'; 36], b"C\0\0\0\x0dSELECT 1\0"].concat();
        assert_eq!(redacted(&["*s*", "*S*"], Form::Messages, &row), expected);
    }
}
