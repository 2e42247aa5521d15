//! Profiles: the files `~/.aws/credentials` and `~/.aws/config`, and what a profile leads to.

use std::collections::HashMap;

use super::super::Variable;
use super::chain::{Chain, Variables};
use super::sts::{Role, WebIdentity};
use super::{Credentials, container, instance, process, sts};
use crate::provider::fetch::Pending;

/// Profiles that lead to one another.
const CHAIN_MAX: usize = 8;

/// The region that the environment or the profile names, for a provider that names none.
pub fn region_of(variable: Variable<'_>) -> Option<String> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    if let Some(region) = set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")) {
        return Some(region);
    }
    let variables = Variables::read(variable);
    let profiles = Profiles::read(&variables).ok()?;
    let profile = profiles.0.get(name(&variables))?;
    profile.named("region").map(str::to_owned)
}

/// The profile in use.
pub fn name(variables: &Variables) -> &str {
    variables.named("AWS_PROFILE").unwrap_or("default")
}

/// Every profile of both files.
#[derive(Default)]
pub struct Profiles(HashMap<String, Profile>);

#[derive(Default)]
struct Profile(HashMap<String, String>);

impl Profile {
    fn named(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }
}

impl Profiles {
    /// Reads both files again; one that is not there has no profiles.
    pub fn read(variables: &Variables) -> Result<Self, String> {
        let mut profiles = Self::default();
        // The credentials come last, for what they say counts.
        let files = [
            ("AWS_CONFIG_FILE", "/.aws/config", true),
            ("AWS_SHARED_CREDENTIALS_FILE", "/.aws/credentials", false),
        ];
        for (variable, usual, is_config) in files {
            let home = variables.named("HOME");
            let path = match (variables.named(variable), home) {
                (Some(path), Some(home)) if path.starts_with("~/") => [home, &path[1..]].concat(),
                (Some(path), _) => path.to_owned(),
                (None, Some(home)) => [home, usual].concat(),
                (None, None) => continue,
            };
            match std::fs::read_to_string(&path) {
                Ok(text) => profiles.add(&text, is_config),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(format!("cannot read {path}: {error}")),
            }
        }
        Ok(profiles)
    }

    /// Adds a file's. In `config` a profile's name stands behind the word `profile`, but for the default one's.
    fn add(&mut self, text: &str, is_config: bool) {
        let mut profile: Option<&mut Profile> = None;
        for line in text.lines() {
            // Indented lines belong to a setting with parts, of which none is of use here.
            if line.starts_with([' ', '\t', '#', ';']) {
                continue;
            }
            let line = line.trim_end();
            if let Some(section) = line.strip_prefix('[') {
                let section = section.split(']').next().unwrap_or("").trim();
                let name = match section.strip_prefix("profile") {
                    Some(name) if is_config && name.starts_with([' ', '\t']) => Some(name.trim()),
                    _ if is_config && section != "default" => None,
                    _ => Some(section),
                };
                profile = name.map(|name| self.0.entry(name.to_owned()).or_default());
                continue;
            }
            let (Some(profile), Some((name, value))) = (&mut profile, line.split_once('=')) else {
                continue;
            };
            let value = [" #", " ;", "\t#", "\t;"]
                .iter()
                .fold(value, |value, comment| {
                    value.split(comment).next().unwrap_or("")
                });
            let (name, value) = (name.trim().to_lowercase(), value.trim().to_owned());
            profile.0.insert(name, value);
        }
    }

    /// The credentials that a profile leads to; nothing where it says nothing of credentials.
    pub async fn credentials(
        &self,
        name: &str,
        chain: &Chain,
    ) -> Option<Result<Credentials, String>> {
        let Some(profile) = self.0.get(name) else {
            let is_asked_for = chain.variables.named("AWS_PROFILE").is_some();
            return is_asked_for.then(|| Err("is in neither file".to_owned()));
        };
        let says_something = [
            "role_arn",
            "aws_access_key_id",
            "aws_secret_access_key",
            "credential_process",
            "sso_session",
            "sso_start_url",
            "login_session",
        ]
        .iter()
        .any(|setting| profile.named(setting).is_some());
        match says_something {
            true => Some(self.follow(name, chain, &mut Vec::new()).await),
            false => None,
        }
    }

    /// Boxed, because a profile may lead to another.
    fn follow<'a>(
        &'a self,
        name: &'a str,
        chain: &'a Chain,
        seen: &'a mut Vec<&'a str>,
    ) -> Pending<'a, Result<Credentials, String>> {
        Box::pin(self.follow_to(name, chain, seen))
    }

    async fn follow_to<'a>(
        &'a self,
        name: &'a str,
        chain: &'a Chain,
        seen: &'a mut Vec<&'a str>,
    ) -> Result<Credentials, String> {
        let Some(profile) = self.0.get(name) else {
            return Err(format!(
                "`source_profile` names `{name}`, which is in neither file"
            ));
        };
        let is_circle = seen.contains(&name);
        if seen.len() == CHAIN_MAX || (is_circle && seen.last() != Some(&name)) {
            return Err(format!(
                "`source_profile` leads in a circle, back to `{name}`"
            ));
        }
        seen.push(name);
        let Some(arn) = profile.named("role_arn").filter(|_| !is_circle) else {
            return profile.own().await;
        };
        if profile.named("mfa_serial").is_some() {
            return Err("`mfa_serial` needs a person".to_owned());
        }
        let role = Role {
            arn,
            session_name: profile.named("role_session_name"),
            external_id: profile.named("external_id"),
            duration: profile.named("duration_seconds"),
        };
        if let Some(token_file) = profile.named("web_identity_token_file") {
            let identity = WebIdentity { token_file, role };
            return sts::assume_with_web_identity(chain, &identity).await;
        }
        let source = match (
            profile.named("source_profile"),
            profile.named("credential_source"),
        ) {
            (Some(source), _) => self.follow(source, chain, seen).await?,
            (None, Some("Environment")) => chain
                .of_environment()?
                .ok_or("`credential_source` is Environment, which holds no keys")?,
            (None, Some("Ec2InstanceMetadata")) => instance::credentials(chain).await?,
            (None, Some("EcsContainer")) => container::credentials(chain).await.ok_or(
                "`credential_source` is EcsContainer, of which the environment says nothing",
            )??,
            (None, Some(_)) => return Err("`credential_source` is unknown".to_owned()),
            (None, None) => {
                return Err(
                    "`role_arn` needs a `source_profile` or a `credential_source`".to_owned(),
                );
            }
        };
        sts::assume(chain, &role, source).await
    }
}

impl Profile {
    /// What stands in the profile itself, or is printed by its program.
    async fn own(&self) -> Result<Credentials, String> {
        let id = self.named("aws_access_key_id");
        let secret = self.named("aws_secret_access_key");
        if let (Some(id), Some(secret)) = (id, secret) {
            let token = self.named("aws_session_token");
            return Ok(Credentials::fixed(id, secret, token));
        }
        if let Some(line) = self.named("credential_process") {
            return process::credentials(line).await;
        }
        Err(match (id, secret) {
            (None, None) => {
                "it logs in by a way that needs a person; `credential_process` may run \
                 `aws configure export-credentials --format process`"
            }
            _ => "of `aws_access_key_id` and `aws_secret_access_key` only one is given",
        }
        .to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_files_make_one_profile() {
        let mut profiles = Profiles::default();
        let config = "# a comment\n[default]\nregion = eu-west-1 # near\nrole_arn=arn:x\n[profile  dev]\ns3 =\n  a = b\nREGION= us-east-1\n[sso-session dev]\nregion = nowhere\n[dev]\nregion = ignored\n";
        profiles.add(config, true);
        profiles.add(
            "[default]\naws_secret_access_key = a#b=c/+\nrole_arn = arn:y\n[profile dev]\n",
            false,
        );
        let default = &profiles.0["default"];
        assert_eq!(default.named("region"), Some("eu-west-1"));
        assert_eq!(default.named("role_arn"), Some("arn:y"));
        assert_eq!(default.named("aws_secret_access_key"), Some("a#b=c/+"));
        assert_eq!(profiles.0["dev"].named("region"), Some("us-east-1"));
        assert_eq!(profiles.0["dev"].named("a"), None);
    }

    #[test]
    fn a_region_is_taken_from_the_environment_then_from_the_profile() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config");
        std::fs::write(&file, "[profile dev]\nregion = eu-north-1\n").unwrap();
        let file = file.display().to_string();
        let variable = |wanted: &'static [(&str, &str)]| {
            let file = file.clone();
            move |name: &str| match name {
                "AWS_CONFIG_FILE" => Some(file.clone()),
                _ => {
                    let found = wanted.iter().find(|(known, _)| *known == name);
                    found.map(|(_, value)| (*value).to_owned())
                }
            }
        };
        let region = |wanted| region_of(&variable(wanted));
        assert_eq!(region(&[]), None);
        assert_eq!(region(&[("AWS_PROFILE", "dev")]).unwrap(), "eu-north-1");
        let both = &[("AWS_PROFILE", "dev"), ("AWS_DEFAULT_REGION", "eu-west-2")];
        assert_eq!(region(both).unwrap(), "eu-west-2");
        let all = &[("AWS_REGION", "eu-west-3"), ("AWS_DEFAULT_REGION", "x")];
        assert_eq!(region(all).unwrap(), "eu-west-3");
    }
}
