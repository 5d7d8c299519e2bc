//! Conditions in CEL, the Common Expression Language, over the object that the JSON report has for a socket.
//!
//! The one door to the crate `cel`.

mod budget;
mod fields;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr, IdedExpr};
use cel::{Context, Env, ExecutionError, Program, Value};

/// The fields of the object, which an expression names as variables.
pub const FIELDS: [&str; 26] = [
    "space",
    "protocol",
    "family",
    "local",
    "peer",
    "state",
    "category",
    "service",
    "exposure",
    "device",
    "v6only",
    "queue",
    "pending",
    "inode",
    "uid",
    "user",
    "cookie",
    "autobound",
    "time_left_ms",
    "timer",
    "traffic",
    "forward",
    "reachability",
    "activation",
    "owner",
    "peer_owner",
];

/// A longer text is not a condition that somebody wrote.
const MOST_BYTES: usize = 2048;
/// How deep operators, calls and brackets may be inside of each other. What evaluates the tree calls itself for each.
const MOST_NESTED: usize = 48;
/// The parser calls itself too, many times over, and has a limit for some forms only. This is enough for the longest text
/// that is taken; of it only what is used becomes memory.
const STACK: usize = 128 << 20;

/// How long an expression may take for all sockets together.
const MOST_TIME: Duration = Duration::from_secs(20);
/// Stands where an error of evaluation names the function that failed.
const BUDGET: &str = "budget";

/// A condition, read once and asked of many sockets.
#[derive(Clone)]
pub struct Expression {
    text: String,
    environment: Arc<Env>,
    program: Arc<Program>,
    /// The microseconds that all evaluations have taken.
    spent: Arc<AtomicU64>,
}

impl std::fmt::Debug for Expression {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl std::str::FromStr for Expression {
    type Err = String;

    /// Reads the expression and refuses what cannot be a condition over a socket: names that no field has, and results
    /// that are not true or false.
    fn from_str(text: &str) -> Result<Expression, String> {
        if text.len() > MOST_BYTES {
            return Err(format!("the expression has {} bytes: expected at most {MOST_BYTES}", text.len()));
        }
        let environment = Arc::new(Env::stdlib());
        let program = std::thread::scope(|scope| {
            let parser =
                std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, || parse(text, &environment));
            parser
                .map_err(|error| format!("cannot start a thread to parse the expression: {error}"))?
                .join()
                .unwrap_or_else(|_| Err(format!("`{}` is too complex to parse", one_line(text))))
        })?;
        fields::check(program.expression()).map_err(|problem| format!("`{}`: {problem}", one_line(text)))?;
        let expression =
            Expression { text: text.to_owned(), environment, program: Arc::new(program), spent: Arc::default() };
        // Without a socket most expressions fail for want of values. What fails for want of a name always will.
        let nothing = FIELDS.into_iter().map(|name| (name.to_owned(), serde_json::Value::Null)).collect();
        match expression.answer(&serde_json::Value::Object(nothing)) {
            Err(ExecutionError::UndeclaredReference(name)) => {
                let known = FIELDS.join(", ");
                Err(format!("`{}`: `{name}` is neither a function nor a field: expected {known}", one_line(text)))
            }
            Err(ExecutionError::FunctionError { function, message }) if function == BUDGET => {
                Err(format!("`{}` {message}", one_line(text)))
            }
            Ok(value) if !matches!(value, Value::Bool(_)) => Err(format!("`{}` {NOT_BOOLEAN}", one_line(text))),
            _ => Ok(expression),
        }
    }
}

/// What helps where a field is null.
const ASK_FIRST: &str = "; first check that the field is not null, as in `peer != null && peer.port == 443`";

/// Says whether a value was null where another was needed.
fn is_about_null(error: &ExecutionError) -> bool {
    const NULL: &str = "null_type";
    match error {
        ExecutionError::NoSuchOverload(overload) => overload.argument_types().iter().any(|argument| argument == NULL),
        ExecutionError::UnexpectedType { got, .. } => got == NULL,
        ExecutionError::UnsupportedBinaryOperator(_, one, other) => [one, other].contains(&&Value::Null),
        _ => false,
    }
}

const NOT_BOOLEAN: &str = "is not a condition: expected an expression that is true or false";

impl Expression {
    /// Says whether the condition holds for the socket with this object. That it cannot be said is an error.
    ///
    /// A field that is null equals only null; to look into it or to compare its size is an error, unless the other side
    /// of `&&` or `||` decides: `peer != null && peer.port == 443`.
    pub fn holds(&self, object: &serde_json::Value) -> Result<bool, String> {
        match self.answer(object) {
            Ok(Value::Bool(answer)) => Ok(answer),
            Ok(_) => Err(format!("`{}` {NOT_BOOLEAN}", one_line(&self.text))),
            Err(ExecutionError::FunctionError { function, message }) if function == BUDGET => {
                Err(format!("`{}` {message}", one_line(&self.text)))
            }
            Err(error) => {
                let remedy = if is_about_null(&error) { ASK_FIRST } else { "" };
                Err(format!("`{}` cannot be evaluated: {}{remedy}", one_line(&self.text), one_line(&error.to_string())))
            }
        }
    }

    /// Says whether it may ask for this field; true also where only a text in it is called so.
    pub fn names(&self, field: &str) -> bool {
        self.text.contains(field)
    }

    /// The same for a socket whose processes are not known: nothing where they decide.
    pub fn holds_without_processes(&self, mut object: serde_json::Value) -> Result<Option<bool>, String> {
        if let Some(owner) = object.get_mut("owner").and_then(serde_json::Value::as_object_mut) {
            owner.remove("processes");
        }
        match self.answer(&object) {
            Err(ExecutionError::NoSuchKey(key)) if *key == "processes" => Ok(None),
            _ => self.holds(&object).map(Some),
        }
    }

    fn answer(&self, object: &serde_json::Value) -> Result<Value, ExecutionError> {
        let too_much = |message: &str| ExecutionError::function_error(BUDGET, message);
        if budget::steps(self.program.expression(), budget::Size::of(object)) > budget::MOST_STEPS {
            return Err(too_much("would take too long: nest fewer macros"));
        }
        if self.spent.load(Ordering::Relaxed) > u64::try_from(MOST_TIME.as_micros()).unwrap_or(u64::MAX) {
            return Err(too_much("took too long for so many sockets: use a simpler expression"));
        }
        let start = Instant::now();
        let answer = self.evaluate(object);
        self.spent.fetch_add(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        answer
    }

    fn evaluate(&self, object: &serde_json::Value) -> Result<Value, ExecutionError> {
        let mut context = Context::with_env(Arc::clone(&self.environment));
        for (name, value) in object.as_object().into_iter().flatten() {
            context.add_variable_from_value(name.as_str(), cel_value(value));
        }
        self.program.execute(&context)
    }
}

/// Every number that fits is an `int`, as the literals of an expression are, so that the two can be reckoned with.
fn cel_value(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => (*value).into(),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => number.into(),
            (None, Some(number)) => number.into(),
            (None, None) => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(values) => values.iter().map(cel_value).collect::<Vec<Value>>().into(),
        serde_json::Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), cel_value(value)));
            fields.collect::<std::collections::HashMap<String, Value>>().into()
        }
    }
}

fn parse(text: &str, environment: &Env) -> Result<Program, String> {
    let program = environment.compile(text).map_err(|errors| {
        let first = errors.errors.first();
        let problem = first.map_or_else(String::new, |error| format!("column {}: {}", error.pos.1, plain(&error.msg)));
        format!("`{}` is not a valid expression: {}", one_line(text), one_line(&problem))
    })?;
    if depth(program.expression()) > MOST_NESTED {
        return Err(format!("`{}` is nested too deeply: expected at most {MOST_NESTED} levels", one_line(text)));
    }
    Ok(program)
}

/// How many levels the tree has.
fn depth(tree: &IdedExpr) -> usize {
    let entry = |entry: &IdedEntryExpr| match &entry.expr {
        EntryExpr::StructField(field) => depth(&field.value),
        EntryExpr::MapEntry(entry) => depth(&entry.key).max(depth(&entry.value)),
    };
    let below = match &tree.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => None,
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).map(depth).max(),
        Expr::Comprehension(each) => {
            [&each.iter_range, &each.accu_init, &each.loop_cond, &each.loop_step, &each.result]
                .map(depth)
                .into_iter()
                .max()
        }
        Expr::List(list) => list.elements.iter().map(depth).max(),
        Expr::Map(map) => map.entries.iter().map(entry).max(),
        Expr::Select(select) => Some(depth(&select.operand)),
        Expr::Struct(fields) => fields.entries.iter().map(entry).max(),
    };
    1 + below.unwrap_or(0)
}

/// What the parser says, without its lists of tokens: `mismatched input '<EOF>' expecting {…}` is for who wrote it.
fn plain(problem: &str) -> String {
    const UNEXPECTED: [&str; 4] =
        ["mismatched input ", "extraneous input ", "no viable alternative at input ", "token recognition error at: "];
    let problem = problem.strip_prefix("Syntax error: ").unwrap_or(problem);
    let problem = problem.split_once(" expecting ").map_or(problem, |(problem, _)| problem);
    let Some(found) = UNEXPECTED.iter().find_map(|prefix| problem.strip_prefix(prefix)) else {
        return problem.to_owned();
    };
    match found.trim_matches('\'') {
        "<EOF>" => "it ends too early".to_owned(),
        found => format!("unexpected `{found}`"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
