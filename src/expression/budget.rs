//! How much work an expression can be at most, reckoned before it is done.
//!
//! CEL always ends, but a few nested macros take years, and a few that double a text take all memory. What evaluates an
//! expression cannot be stopped, so its cost is bounded in advance, from the tree and the size of the socket's object. The bound
//! is never too small; for what people ask about a socket it is thousands of steps.

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// Steps that one evaluation may take: some tenths of a second.
pub const MOST_STEPS: u64 = 5_000_000;

/// How large a value can be.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Size {
    /// Values in it that a macro can go through, itself included.
    pub values: u64,
    /// The same, and the bytes of its texts.
    pub bytes: u64,
}

impl Size {
    const ONE: Size = Size { values: 1, bytes: 8 };
    const NOTHING: Size = Size { values: 0, bytes: 0 };

    fn plus(self, other: Size) -> Size {
        Size { values: self.values.saturating_add(other.values), bytes: self.bytes.saturating_add(other.bytes) }
    }

    fn times(self, count: u64) -> Size {
        Size { values: self.values.saturating_mul(count), bytes: self.bytes.saturating_mul(count) }
    }

    fn or(self, other: Size) -> Size {
        Size { values: self.values.max(other.values), bytes: self.bytes.max(other.bytes) }
    }

    /// The size of a JSON value.
    pub fn of(value: &serde_json::Value) -> Size {
        match value {
            serde_json::Value::String(text) => Size { values: 1, bytes: 8 + text.len() as u64 },
            serde_json::Value::Array(values) => values.iter().map(Size::of).fold(Size::ONE, Size::plus),
            serde_json::Value::Object(fields) => {
                let field = |(name, value): (&String, &serde_json::Value)| {
                    Size { values: 1, bytes: name.len() as u64 }.plus(Size::of(value))
                };
                fields.iter().map(field).fold(Size::ONE, Size::plus)
            }
            _ => Size::ONE,
        }
    }
}

/// What is known of the variables of macros, the innermost last.
type Scope<'e> = Vec<(&'e str, Size)>;

/// Returns how many steps the expression can take over an object of this size.
pub fn steps(tree: &IdedExpr, object: Size) -> u64 {
    Budget { object }.of(tree, &mut Vec::new()).1
}

struct Budget {
    object: Size,
}

impl Budget {
    /// The largest size of the value, and the steps to it. Copying a text is a step for every some bytes.
    fn of<'e>(&self, tree: &'e IdedExpr, scope: &mut Scope<'e>) -> (Size, u64) {
        match &tree.expr {
            // No literal is longer than the longest text that is taken.
            Expr::Literal(LiteralValue::String(_) | LiteralValue::Bytes(_)) => {
                (Size { values: 1, bytes: super::MOST_BYTES as u64 }, 1)
            }
            Expr::Unspecified | Expr::Literal(_) => (Size::ONE, 1),
            Expr::Ident(name) => {
                let known = scope.iter().rev().find(|(known, _)| known == name).map(|(_, size)| *size);
                let size = known.unwrap_or(self.object);
                (size, 1 + size.bytes / 64)
            }
            Expr::Select(select) => {
                let (size, steps) = self.of(&select.operand, scope);
                (size, steps.saturating_add(1))
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::List(list) => self.all(list.elements.iter(), scope),
            Expr::Map(map) => self.all(map.entries.iter().flat_map(|entry| parts(&entry.expr)), scope),
            Expr::Struct(fields) => self.all(fields.entries.iter().flat_map(|entry| parts(&entry.expr)), scope),
            Expr::Comprehension(each) => self.each(each, scope),
        }
    }

    fn all<'e>(&self, trees: impl Iterator<Item = &'e IdedExpr>, scope: &mut Scope<'e>) -> (Size, u64) {
        trees.fold((Size::ONE, 1), |(size, steps), tree| {
            let (more, further) = self.of(tree, scope);
            (size.plus(more), steps.saturating_add(further))
        })
    }

    fn call<'e>(&self, call: &'e CallExpr, scope: &mut Scope<'e>) -> (Size, u64) {
        use operators::{ADD, CONDITIONAL, INDEX};
        const ANSWERS: [&str; 10] =
            ["size", "contains", "startsWith", "endsWith", "matches", "has", "int", "uint", "double", "bool"];
        let arguments = call.target.as_deref().into_iter().chain(&call.args);
        let arguments: Vec<(Size, u64)> = arguments.map(|tree| self.of(tree, scope)).collect();
        let sum = arguments.iter().fold(Size::NOTHING, |sum, (size, _)| sum.plus(*size));
        let largest = arguments.iter().fold(Size::ONE, |largest, (size, _)| largest.or(*size));
        let size = match call.func_name.as_str() {
            ADD => sum,
            CONDITIONAL | INDEX => largest,
            name if name.starts_with(['_', '!', '-', '@']) || ANSWERS.contains(&name) => Size::ONE,
            // Whatever a function makes of its arguments.
            _ => largest.times(sum.bytes.max(1)),
        };
        let own = (1 + sum.bytes / 16).saturating_add(size.bytes / 16);
        (size, arguments.iter().fold(own, |steps, (_, further)| steps.saturating_add(*further)))
    }

    /// A macro: what it does for each value of a list or map. All that it goes through is as large as these together, so
    /// one round over everything and a round over nothing for each value are no less than all rounds.
    fn each<'e>(&self, each: &'e ComprehensionExpr, scope: &mut Scope<'e>) -> (Size, u64) {
        let (range, before) = self.of(&each.iter_range, scope);
        let (start, beginning) = self.of(&each.accu_init, scope);
        let (whole, whole_steps) = self.round(each, range, scope);
        let (least, least_steps) = self.round(each, Size::NOTHING, scope);
        let result = start.plus(whole).plus(least.times(range.values));
        let rounds = whole_steps.saturating_add(least_steps.saturating_mul(range.values));
        scope.push((&each.accu_var, result));
        let (size, end) = self.of(&each.result, scope);
        scope.pop();
        (size, [before, beginning, rounds, end].into_iter().fold(result.bytes / 64, u64::saturating_add))
    }

    fn round<'e>(&self, each: &'e ComprehensionExpr, element: Size, scope: &mut Scope<'e>) -> (Size, u64) {
        let depth = scope.len();
        scope.push((&each.accu_var, Size::NOTHING));
        scope.push((&each.iter_var, element));
        scope.extend(each.iter_var2.as_deref().map(|name| (name, element)));
        let (_, condition) = self.of(&each.loop_cond, scope);
        let (step, further) = self.of(&each.loop_step, scope);
        scope.truncate(depth);
        (step, condition.saturating_add(further))
    }
}

fn parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}
