//! The flags that say how a table looks to a person.

use clap::Args;

use super::one_of;
use crate::context::Context;
use crate::render::text::style::{ColorChoice, Style};

/// How a table looks.
#[derive(Args, Clone, Debug)]
pub struct StyleArgs {
    /// Label a port, such as 8080=web or 5353/udp=mdns
    #[arg(long = "label", value_name = "PORT[/PROTO]=NAME", help_heading = "Output")]
    pub labels: Vec<String>,

    /// When to use color [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = one_of(&ColorChoice::ALL, ColorChoice::name), help_heading = "Output")]
    pub color: Option<ColorChoice>,

    /// Width of the output in columns, instead of that of the terminal
    #[arg(long, value_name = "N", value_parser = parse_width, help_heading = "Output")]
    pub width: Option<usize>,

    /// Do not use a pager for long output
    #[arg(long, help_heading = "Output")]
    pub no_pager: bool,
}

impl StyleArgs {
    /// Decides the look from the flags, the environment, the configuration file and the terminal.
    pub fn style(&self, context: &Context) -> Style {
        Style::new(self.color, context.look.color, self.width, &context.environment, context.terminal)
    }
}

fn parse_width(text: &str) -> Result<usize, String> {
    // A line of a hundred thousand columns is a typing error.
    let width = text.parse().ok().filter(|width| (1..=65_535).contains(width));
    width.ok_or_else(|| format!("`{text}` is not a width: expected 1 to 65535 columns"))
}
