//! Reads BTF, the kernel's description of its types, as far as needed: a type by name, a member by name.
//!
//! Types are numbered by their order and have different sizes, so number n is found by walking past n-1 others. The
//! walk is made once, up to the last name looked for, and leaves a mark every few types for going back.
//!
//! The bytes come from the kernel, but nothing here trusts them: every read is checked, and every walk is bounded.
//!
//! Source: Linux, Documentation/bpf/btf.rst.

/// Why BTF could not be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BtfError {
    /// Not BTF, of the other byte order, or its sections lie outside the file.
    #[error("the header is not BTF version 1 in native byte order")]
    Header,
    /// A type is cut off, or has bits set whose meaning is not known.
    #[error("type {id} is malformed")]
    Malformed { id: u32 },
    /// The length of this kind is not known, so nothing behind it can be found.
    #[error("type {id} has the unknown kind {kind}")]
    UnknownKind { id: u32, kind: u8 },
    /// What is looked for is not there; for `bpf_iter_task_file`, the kernel is older than 5.8.
    #[error("`{name}` is missing")]
    Absent { name: &'static str },
    /// It is there, and is not what this version knows under the name.
    #[error("`{name}` has an unexpected form")]
    Unexpected { name: &'static str },
}

/// The kinds that this reader distinguishes.
pub mod kind {
    pub const INT: u8 = 1;
    pub const PTR: u8 = 2;
    pub const STRUCT: u8 = 4;
    pub const UNION: u8 = 5;
    pub const ENUM: u8 = 6;
    pub const TYPEDEF: u8 = 8;
    pub const VOLATILE: u8 = 9;
    pub const CONST: u8 = 10;
    pub const RESTRICT: u8 = 11;
    pub const FUNC: u8 = 12;
    pub const FUNC_PROTO: u8 = 13;
    pub const TYPE_TAG: u8 = 18;
}

/// Bytes behind the head of a type, by its kind: how many always, and how many for each of its `vlen` parts. Kind 0
/// never stands in a file.
const BEHIND: [(usize, usize); 20] = [
    (0, 0),
    (4, 0),  // int
    (0, 0),  // pointer
    (12, 0), // array
    (0, 12), // struct
    (0, 12), // union
    (0, 8),  // enum
    (0, 0),  // forward
    (0, 0),  // typedef
    (0, 0),  // volatile
    (0, 0),  // const
    (0, 0),  // restrict
    (0, 0),  // function
    (0, 8),  // function prototype
    (4, 0),  // variable
    (0, 12), // data section
    (0, 0),  // float
    (4, 0),  // declaration tag
    (0, 0),  // type tag
    (0, 12), // 64-bit enum
];

/// Bytes of the head of a type, and of a member of a structure.
const HEAD: usize = 12;
const MEMBER: usize = 12;
const PARAMETER: usize = 8;

/// Types from one mark to the next: going back walks over half of them, 2,000 marks cover a usual kernel.
const STRIDE: u32 = 64;

/// How many modifiers (const, typedef, ...) may stand before a type, and how deep unnamed structures may be nested.
/// The kernel stays below ten.
const DEPTH: u32 = 16;

/// Members looked at for one name. `task_struct` has a few hundred; the bound is for nested malformed ones.
const MEMBERS: u32 = 20_000;

/// One type: its head, and where the rest of it starts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Type {
    name: u32,
    pub kind: u8,
    parts: u16,
    /// Offsets of members hold the width of bit fields too.
    with_bits: bool,
    /// Bytes of the type or number of the type it refers to, depending on the kind.
    pub size_or_type: u32,
    body: usize,
}

/// A member of a structure, or of one without a name inside of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Member {
    /// Bytes from the start of the structure that was asked.
    pub offset: u32,
    pub type_id: u32,
}

/// A member of a structure that may be a bit field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Bits {
    /// Bits from the start of the structure that was asked, counted as the byte order of the machine counts them.
    pub bit: u32,
    /// Bits of the field; 0 for a member that is no bit field.
    pub width: u32,
    pub type_id: u32,
}

/// BTF that is being read.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset of the types 1, 1 + `STRIDE`, 1 + 2 * `STRIDE`, ... that were reached.
    marks: Vec<usize>,
    /// First type that was not reached yet, and its offset.
    next: (u32, usize),
}

impl<'a> Btf<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, BtfError> {
        Self::sections(bytes).ok_or(BtfError::Header)
    }

    fn sections(bytes: &'a [u8]) -> Option<Self> {
        let magic = u16::from_ne_bytes(*bytes.first_chunk()?);
        let version = *bytes.get(2)?;
        if magic != 0xEB9F || version != 1 {
            return None;
        }
        let field = |at| word(bytes, at).and_then(|word| usize::try_from(word).ok());
        let section = |at: usize| {
            let start = field(4)?.checked_add(field(at)?)?;
            bytes.get(start..start.checked_add(field(at + 4)?)?)
        };
        Some(Self { types: section(8)?, strings: section(16)?, marks: vec![0], next: (1, 0) })
    }

    /// Returns the numbers of the first types of these kinds and names, none of which may be empty.
    ///
    /// All in one walk, which ends with the last one found.
    pub fn find<const N: usize>(&mut self, wanted: [(u8, &'static str); N]) -> Result<[u32; N], BtfError> {
        let kinds = wanted.iter().fold(0_u32, |set, (kind, _)| set | 1 << kind);
        let mut found = [0; N];
        let mut missing = N;
        while missing > 0 {
            let Some((id, ty)) = self.step()? else { break };
            // Most types end here; the string table is touched for the others only.
            if kinds & (1 << ty.kind) == 0 {
                continue;
            }
            for (slot, (kind, name)) in found.iter_mut().zip(wanted) {
                if *slot == 0 && ty.kind == kind && self.is_named(ty.name, name) {
                    *slot = id;
                    missing -= 1;
                }
            }
        }
        for (id, (_, name)) in found.iter().zip(wanted) {
            if *id == 0 {
                return Err(BtfError::Absent { name });
            }
        }
        Ok(found)
    }

    /// Returns the member `name` of the structure `id`, which may be inside of unnamed ones.
    pub fn member(&mut self, id: u32, name: &'static str) -> Result<Member, BtfError> {
        let member = self.bits(id, name)?;
        if member.bit % 8 != 0 || member.width != 0 {
            return Err(BtfError::Unexpected { name });
        }
        Ok(Member { offset: member.bit / 8, type_id: member.type_id })
    }

    /// Like `member`, for one that may be a bit field.
    pub fn bits(&mut self, id: u32, name: &'static str) -> Result<Bits, BtfError> {
        let mut budget = MEMBERS;
        self.member_within(id, name, DEPTH, &mut budget)?.ok_or(BtfError::Absent { name })
    }

    fn member_within(
        &mut self,
        id: u32,
        name: &'static str,
        depth: u32,
        budget: &mut u32,
    ) -> Result<Option<Bits>, BtfError> {
        let malformed = BtfError::Malformed { id };
        let ty = self.resolved(id)?;
        if !matches!(ty.kind, kind::STRUCT | kind::UNION) {
            return Ok(None);
        }
        for part in 0..usize::from(ty.parts) {
            *budget = budget.checked_sub(1).ok_or(malformed)?;
            let at = ty.body + part * MEMBER;
            let [its_name, type_id, position] = self.words(at).ok_or(malformed)?;
            if self.is_named(its_name, name) {
                let (bit, width) = if ty.with_bits { (position & 0x00FF_FFFF, position >> 24) } else { (position, 0) };
                return Ok(Some(Bits { bit, width, type_id }));
            }
            if self.is_named(its_name, "")
                && depth > 0
                && let Some(inner) = self.member_within(type_id, name, depth - 1, budget)?
            {
                let before = if ty.with_bits { position & 0x00FF_FFFF } else { position };
                let bit = inner.bit.checked_add(before).ok_or(malformed)?;
                return Ok(Some(Bits { bit, ..inner }));
            }
        }
        Ok(None)
    }

    /// Returns the place among the parameters of function `id` of the one called `name`, and its type.
    pub fn parameter(&mut self, id: u32, name: &'static str) -> Result<(usize, u32), BtfError> {
        let function = self.get(id)?;
        let prototype = self.get(function.size_or_type)?;
        if function.kind != kind::FUNC || prototype.kind != kind::FUNC_PROTO {
            return Err(BtfError::Malformed { id });
        }
        for index in 0..usize::from(prototype.parts) {
            let [its_name, type_id] =
                self.words(prototype.body + index * PARAMETER).ok_or(BtfError::Malformed { id })?;
            if self.is_named(its_name, name) {
                return Ok((index, type_id));
            }
        }
        Err(BtfError::Absent { name })
    }

    /// Returns the type `id` without the typedefs and qualifiers around it.
    pub fn resolved(&mut self, id: u32) -> Result<Type, BtfError> {
        self.resolved_with_id(id).map(|(_, ty)| ty)
    }

    /// Returns the number of the structure that the pointer type `id` points to.
    pub fn pointee(&mut self, id: u32, name: &'static str) -> Result<u32, BtfError> {
        let pointer = self.resolved(id)?;
        if pointer.kind != kind::PTR {
            return Err(BtfError::Unexpected { name });
        }
        let (target, ty) = self.resolved_with_id(pointer.size_or_type)?;
        if ty.kind == kind::STRUCT { Ok(target) } else { Err(BtfError::Unexpected { name }) }
    }

    fn resolved_with_id(&mut self, id: u32) -> Result<(u32, Type), BtfError> {
        let mut current = id;
        for _ in 0..DEPTH {
            let ty = self.get(current)?;
            match ty.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    current = ty.size_or_type;
                }
                _ => return Ok((current, ty)),
            }
        }
        Err(BtfError::Malformed { id })
    }

    /// Returns type `id`, walking on if it was not reached yet. Number 0 is `void` and is not looked at by anyone.
    fn get(&mut self, id: u32) -> Result<Type, BtfError> {
        let malformed = BtfError::Malformed { id };
        let before = id.checked_sub(1).ok_or(malformed)?;
        while self.next.0 <= id {
            self.step()?.ok_or(malformed)?;
        }
        let mark = usize::try_from(before / STRIDE).map_err(|_| malformed)?;
        let mut at = *self.marks.get(mark).ok_or(malformed)?;
        for passed in 0..before % STRIDE {
            (_, at) = self.type_at(before - passed, at)?;
        }
        Ok(self.type_at(id, at)?.0)
    }

    /// Returns the first type not reached yet, and steps behind it; `None` behind the last.
    #[inline]
    fn step(&mut self) -> Result<Option<(u32, Type)>, BtfError> {
        let (id, at) = self.next;
        if at == self.types.len() {
            return Ok(None);
        }
        let (ty, end) = self.type_at(id, at)?;
        // Each type takes 12 bytes, so the number cannot overflow before the offset, which is below 2^32.
        self.next = (id + 1, end);
        if id % STRIDE == 0 {
            self.marks.push(end);
        }
        Ok(Some((id, ty)))
    }

    /// Returns the type at an offset, and the offset behind it. The number is for the error.
    #[inline]
    fn type_at(&self, id: u32, at: usize) -> Result<(Type, usize), BtfError> {
        let malformed = BtfError::Malformed { id };
        let [name, info, size_or_type] = self.words(at).ok_or(malformed)?;
        // Bits without a meaning today may get one that changes the length.
        if info & 0x60FF_0000 != 0 {
            return Err(malformed);
        }
        let [flags_and_kind, _, parts @ ..] = info.to_be_bytes();
        let kind = flags_and_kind & 0x1F;
        let parts = u16::from_be_bytes(parts);
        let &(always, each) = match kind {
            0 => None,
            _ => BEHIND.get(usize::from(kind)),
        }
        .ok_or(BtfError::UnknownKind { id, kind })?;
        let body = at + HEAD;
        let end = body + always + each * usize::from(parts);
        if end > self.types.len() {
            return Err(malformed);
        }
        let ty = Type { name, kind, parts, with_bits: info >> 31 == 1, size_or_type, body };
        Ok((ty, end))
    }

    /// Whether the string at `offset` is `name`.
    #[inline]
    fn is_named(&self, offset: u32, name: &str) -> bool {
        let Some(string) = usize::try_from(offset).ok().and_then(|offset| self.strings.get(offset..)) else {
            return false;
        };
        // The first letter decides nearly always, and is cheaper than a comparison of slices.
        string.first() == name.as_bytes().first().or(Some(&0))
            && string.starts_with(name.as_bytes())
            && string.get(name.len()) == Some(&0)
    }

    #[inline]
    fn words<const N: usize>(&self, at: usize) -> Option<[u32; N]> {
        let bytes = self.types.get(at..at.checked_add(4 * N)?)?;
        let (words, _) = bytes.as_chunks::<4>();
        let words: &[[u8; 4]; N] = words.try_into().ok()?;
        Some(words.map(u32::from_ne_bytes))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}
