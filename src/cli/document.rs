//! Answers for machines: JSON and YAML, without the bookkeeping that kubectl hides too. Never tables.

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::error::CliError;

/// A form that machines read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
}

/// `value` in the wanted form, ending in a line break.
pub fn write(value: &Value, form: Form) -> Result<String, CliError> {
    let (name, text) = match form {
        Form::Json => ("json", serde_json::to_string_pretty(value).map_err(|e| e.to_string())),
        Form::Yaml => ("yaml", serde_saphyr::to_string(value).map_err(|e| e.to_string())),
    };
    let text = text.map_err(|words| CliError::Form { form: name, words })?;
    Ok(format!("{}\n", text.trim_end()))
}

/// An object as kubectl prints it: without the managers of its fields.
pub fn object(mut object: DynamicObject) -> Result<Value, CliError> {
    object.metadata.managed_fields = None;
    serde_json::to_value(object).map_err(|e| CliError::Form { form: "json", words: e.to_string() })
}

/// Objects as kubectl prints several.
pub fn list(items: Vec<DynamicObject>) -> Result<Value, CliError> {
    let items = items.into_iter().map(object).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items}))
}
