//! Reads DER values one after the other, keeping the offset in the outermost input for error messages.

use super::tag;

/// Nothing in a CSR or certificate needs to be deeper; recursion stops here.
pub(crate) const DEPTH_MAX: u8 = 16;

/// Input that is not DER, or not the DER that was expected here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DerError {
    /// Octets from the start of the outermost input.
    pub(crate) offset: usize,
    /// What stands there, as a noun phrase.
    pub(crate) what: &'static str,
}

impl std::fmt::Display for DerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at offset {}", self.what, self.offset)
    }
}

/// One value: tag octet, contents, and the whole of it as encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tlv<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) raw: &'a [u8],
    /// Where `raw` begins in the outermost input.
    pub(crate) offset: usize,
}

impl<'a> Tlv<'a> {
    pub(crate) fn content_offset(&self) -> usize {
        self.offset + (self.raw.len() - self.content.len())
    }

    pub(crate) fn reader(&self) -> Reader<'a> {
        Reader { rest: self.content, offset: self.content_offset() }
    }

    pub(crate) fn error(&self, what: &'static str) -> DerError {
        DerError { offset: self.offset, what }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(input: &'a [u8]) -> Self {
        Self { rest: input, offset: 0 }
    }

    /// A reader over a part of an outer input, so that offsets keep counting from the outer start.
    pub(crate) fn at(input: &'a [u8], offset: usize) -> Self {
        Self { rest: input, offset }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn error(&self, what: &'static str) -> DerError {
        DerError { offset: self.offset, what }
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The next value, whatever its tag.
    pub(crate) fn any(&mut self) -> Result<Tlv<'a>, DerError> {
        let input = self.rest;
        let [tag, after_tag @ ..] = input else { return Err(self.error("an end of input where a value is expected")) };
        if tag & 0x1f == 0x1f {
            return Err(self.error("a multi-octet tag"));
        }
        let (length, header) = self.length(after_tag)?;
        let Some((raw, rest)) = header.checked_add(length).and_then(|end| input.split_at_checked(end)) else {
            return Err(self.error("a value longer than its surroundings"));
        };
        let value = Tlv { tag: *tag, content: raw.get(header..).unwrap_or_default(), raw, offset: self.offset };
        self.rest = rest;
        self.offset += raw.len();
        Ok(value)
    }

    /// Length octets after the tag: the length and the size of the whole header (X.690 §10.1).
    fn length(&self, after_tag: &[u8]) -> Result<(usize, usize), DerError> {
        let short = |octets: &[u8]| octets.iter().fold(0usize, |sum, octet| (sum << 8) | usize::from(*octet));
        match after_tag {
            [first @ 0..=0x7f, ..] => Ok((usize::from(*first), 2)),
            [0x80, ..] => Err(self.error("an indefinite length")),
            [0x81, octets @ ..] => self.long_length(octets.get(..1).map(short), 0x80, 3),
            [0x82, octets @ ..] => self.long_length(octets.get(..2).map(short), 0x100, 4),
            [0x83, octets @ ..] => self.long_length(octets.get(..3).map(short), 0x1_0000, 5),
            [0x84, octets @ ..] => self.long_length(octets.get(..4).map(short), 0x100_0000, 6),
            [_, ..] => Err(self.error("a length of more than four octets")),
            [] => Err(self.error("an end of input where a length is expected")),
        }
    }

    fn long_length(&self, length: Option<usize>, least: usize, header: usize) -> Result<(usize, usize), DerError> {
        match length {
            Some(length) if length >= least => Ok((length, header)),
            Some(_) => Err(self.error("a length that is not encoded in the shortest form")),
            None => Err(self.error("an end of input inside a length")),
        }
    }

    /// The next value, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8, what: &'static str) -> Result<Tlv<'a>, DerError> {
        if self.peek() != Some(tag) {
            return Err(self.error(what));
        }
        self.any()
    }

    /// The next value if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, DerError> {
        if self.peek() == Some(tag) { self.any().map(Some) } else { Ok(None) }
    }

    pub(crate) fn sequence(&mut self, what: &'static str) -> Result<Reader<'a>, DerError> {
        self.expect(tag::SEQUENCE, what).map(|value| value.reader())
    }

    /// A BIT STRING of whole octets, without the unused-bit count.
    pub(crate) fn octet_aligned_bits(&mut self, what: &'static str) -> Result<&'a [u8], DerError> {
        let value = self.expect(tag::BIT_STRING, what)?;
        match value.content {
            [0, octets @ ..] => Ok(octets),
            _ => Err(value.error("a bit string that is not of whole octets")),
        }
    }

    /// Refuses anything left over.
    pub(crate) fn finish(&self) -> Result<(), DerError> {
        if self.is_empty() { Ok(()) } else { Err(self.error("trailing data")) }
    }
}

/// The magnitude of a non-negative INTEGER without its sign octet; zero is the empty slice.
pub(crate) fn unsigned_integer(value: Tlv<'_>) -> Result<&[u8], DerError> {
    match value.content {
        [] => Err(value.error("an integer without contents")),
        [0] => Ok(&[]),
        [0, next, ..] if *next < 0x80 => Err(value.error("an integer that is not in the shortest form")),
        [0, magnitude @ ..] => Ok(magnitude),
        [first, ..] if *first >= 0x80 => Err(value.error("a negative integer")),
        magnitude => Ok(magnitude),
    }
}
