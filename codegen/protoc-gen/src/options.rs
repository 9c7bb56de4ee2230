//! The plugin's parameter.

use antiphon_build::Config;

/// Sets each option of a parameter.
pub(crate) fn parse(mut config: Config, parameter: &str) -> Result<Config, String> {
    for option in split(parameter) {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option.as_str(), None),
        };
        config = set(config, name, value).map_err(|problem| format!("the option {option:?} {problem}"))?;
    }
    Ok(config)
}

fn set(config: Config, name: &str, value: Option<&str>) -> Result<Config, String> {
    let text = || value.filter(|value| !value.is_empty()).ok_or_else(|| format!("wants a value: {name}=…"));
    let pair = || {
        let two = text()?.split_once('=').filter(|(path, what)| !path.is_empty() && !what.is_empty());
        two.ok_or_else(|| format!("wants a path and a value: {name}=.package.Type=…"))
    };
    let switch = || match value {
        None | Some("true") => Ok(true),
        Some("false") => Ok(false),
        Some(_) => Err(format!("wants true or false: {name}=false")),
    };
    Ok(match name {
        "runtime_path" => config.runtime_path(text()?),
        "server" => config.server(switch()?),
        "client" => config.client(switch()?),
        "blocking" => config.blocking(switch()?),
        "blocking_feature" => config.blocking_feature(text()?),
        "bytes" => config.bytes([text()?]),
        "btree_map" => config.btree_map([text()?]),
        "include_file" => config.include_file(text()?),
        "extern_path" => {
            let (path, rust) = pair()?;
            config.extern_path(path, rust)
        }
        "type_attribute" => {
            let (path, attribute) = pair()?;
            config.type_attribute(path, attribute)
        }
        "message_attribute" => {
            let (path, attribute) = pair()?;
            config.message_attribute(path, attribute)
        }
        "enum_attribute" => {
            let (path, attribute) = pair()?;
            config.enum_attribute(path, attribute)
        }
        "field_attribute" => {
            let (path, attribute) = pair()?;
            config.field_attribute(path, attribute)
        }
        _ => {
            return Err(
                "is not known; there are runtime_path, server, client, blocking, blocking_feature, bytes, \
                        btree_map, extern_path, type_attribute, message_attribute, enum_attribute, \
                        field_attribute and include_file"
                    .to_owned(),
            );
        }
    })
}

/// The parts between commas that no backslash stands before.
fn split(parameter: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut chars = parameter.chars().peekable();
    while let Some(char) = chars.next() {
        let escaped = char == '\\' && chars.peek() == Some(&',');
        match parts.last_mut() {
            Some(part) if escaped => part.extend(chars.next()),
            Some(part) if char != ',' => part.push(char),
            _ => parts.push(String::new()),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_may_be_part_of_a_value() {
        assert_eq!(split(r"a, b=#[derive(X\, Y)],,c\d"), ["a", "b=#[derive(X, Y)]", r"c\d"]);
        assert!(split("").is_empty());
    }

    #[test]
    fn options_that_are_wrong_say_what_they_want() {
        for (option, want) in [
            ("serve=false", "is not known; there are runtime_path"),
            ("server=no", "wants true or false"),
            ("bytes", "wants a value"),
            ("runtime_path=", "wants a value"),
            ("extern_path=.a", "wants a path and a value"),
            ("type_attribute=.a=", "wants a path and a value"),
        ] {
            let error = parse(Config::new(), option).unwrap_err();
            assert!(error.contains(want) && error.contains(option), "{error}");
        }
        let all = "runtime_path=a,server=false,client,blocking=true,blocking_feature=x,bytes=.,btree_map=.a,\
                   extern_path=.b=::b,type_attribute=.=#[x],message_attribute=.=#[x],enum_attribute=.=#[x],\
                   field_attribute=.=#[x=\"y\"],include_file=mod.rs";
        assert!(parse(Config::new(), all).is_ok());
    }
}
