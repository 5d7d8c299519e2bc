//! Where a structure of the running kernel keeps a number or a pointer, looked up in its BTF.

use super::btf::{Btf, BtfError, Member, kind};

/// Width of a load, as BPF instructions encode it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Width {
    One,
    Two,
    Four,
    Eight,
}

/// A number or pointer in a structure of the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Field {
    /// Bytes from the start of the structure.
    pub offset: i16,
    pub width: Width,
}

/// Returns a parameter of a function, as the program finds it in its context, and its type.
pub fn parameter(btf: &mut Btf, function: u32, name: &'static str, width: Width) -> Result<(Field, u32), BtfError> {
    let (index, type_id) = btf.parameter(function, name)?;
    let offset = i16::try_from(8 * index).map_err(|_| BtfError::Unexpected { name })?;
    Ok((Field { offset, width }, type_id))
}

/// Returns a member that points to a structure, and that structure.
pub fn pointer(btf: &mut Btf, structure: u32, name: &'static str) -> Result<(Field, u32), BtfError> {
    let member = btf.member(structure, name)?;
    let target = btf.pointee(member.type_id, name)?;
    Ok((field(member, 8, name)?, target))
}

/// Returns a member that is a number, by the path of its names.
pub fn number(btf: &mut Btf, structure: u32, path: &[&'static str]) -> Result<Field, BtfError> {
    let mut member = Member { offset: 0, type_id: structure };
    let mut last = "";
    for &name in path {
        let inner = btf.member(member.type_id, name)?;
        let offset = member.offset.checked_add(inner.offset);
        member = Member { offset: offset.ok_or(BtfError::Unexpected { name })?, ..inner };
        last = name;
    }
    let ty = btf.resolved(member.type_id)?;
    if matches!(ty.kind, kind::INT | kind::ENUM) {
        field(member, ty.size_or_type, last)
    } else {
        Err(BtfError::Unexpected { name: last })
    }
}

/// Returns a member whose size is that of a load.
pub fn field(member: Member, size: u32, name: &'static str) -> Result<Field, BtfError> {
    let unexpected = BtfError::Unexpected { name };
    Ok(Field {
        offset: i16::try_from(member.offset).map_err(|_| unexpected)?,
        width: match size {
            1 => Width::One,
            2 => Width::Two,
            4 => Width::Four,
            8 => Width::Eight,
            _ => return Err(unexpected),
        },
    })
}

/// Returns the byte that a bit field is in, and its mask there.
pub fn flag(btf: &mut Btf, structure: u32, path: [&'static str; 2]) -> Result<(Field, u8), BtfError> {
    let [outer, name] = path;
    let unexpected = BtfError::Unexpected { name };
    let outer = btf.member(structure, outer)?;
    let bits = btf.bits(outer.type_id, name)?;
    let (first, width) = (bits.bit % 8, bits.width);
    if width == 0 || first + width > 8 {
        return Err(unexpected);
    }
    let shift = if cfg!(target_endian = "little") { first } else { 8 - width - first };
    let mask = u8::try_from(((1_u32 << width) - 1) << shift).map_err(|_| unexpected)?;
    let member = Member { offset: outer.offset.checked_add(bits.bit / 8).ok_or(unexpected)?, type_id: bits.type_id };
    Ok((field(member, 1, name)?, mask))
}

/// Returns a structure that is a part of another one, as the offset from the start of the latter.
pub fn part(btf: &mut Btf, structure: u32, path: &[&'static str], width: Width) -> Result<Field, BtfError> {
    let mut member = Member { offset: 0, type_id: structure };
    let mut last = "";
    for &name in path {
        let inner = btf.member(member.type_id, name)?;
        let offset = member.offset.checked_add(inner.offset);
        member = Member { offset: offset.ok_or(BtfError::Unexpected { name })?, ..inner };
        last = name;
    }
    let offset = i16::try_from(member.offset).map_err(|_| BtfError::Unexpected { name: last })?;
    Ok(Field { offset, width })
}
