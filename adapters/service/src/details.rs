//! Details of errors that everybody knows: the messages of `google/rpc/error_details.proto`.
//!
//! ```
//! use antiphon_service::details::{BadRequest, FieldViolation};
//! use antiphon_service::Status;
//!
//! let violation = FieldViolation { field: "email".into(), description: "has no @".into(), ..Default::default() };
//! let status = Status::invalid_argument("1 field is wrong")
//!     .with_detail(&BadRequest { field_violations: vec![violation.clone()] });
//!
//! let told: BadRequest = status.detail().expect("it is there");
//! assert_eq!(told.field_violations, [violation]);
//! ```
//! Any other message that knows its name ([`prost::Name`]; prost-build's `enable_type_names`) is a detail as well.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::Duration;

macro_rules! details {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field:meta])* $member:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Message)]
            pub struct $name { $($(#[$field])* pub $member: $type,)* }

            impl prost::Name for $name {
                const NAME: &'static str = stringify!($name);
                const PACKAGE: &'static str = "google.rpc";
            }
        )*
    };
}

details! {
    /// Why it failed, for programs: a reason and who defines it.
    ErrorInfo {
        /// The reason, in capitals: `API_DISABLED`. Unique in its domain.
        #[prost(string, tag = "1")]
        reason: String,
        /// Who defines the reason: mostly a service's name, `pubsub.example.com`.
        #[prost(string, tag = "2")]
        domain: String,
        /// More about it, in names of lower camel case.
        #[prost(btree_map = "string, string", tag = "3")]
        metadata: BTreeMap<String, String>,
    }
    /// When to try again.
    RetryInfo {
        /// Wait at least so long.
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Duration>,
    }
    /// For developers.
    DebugInfo {
        /// A stack trace.
        #[prost(string, repeated, tag = "1")]
        stack_entries: Vec<String>,
        /// Anything else.
        #[prost(string, tag = "2")]
        detail: String,
    }
    /// What was used up.
    QuotaFailure {
        /// Each quota.
        #[prost(message, repeated, tag = "1")]
        violations: Vec<QuotaViolation>,
    }
    /// What had to be done before.
    PreconditionFailure {
        /// Each condition.
        #[prost(message, repeated, tag = "1")]
        violations: Vec<PreconditionViolation>,
    }
    /// What is wrong with the fields of a request.
    BadRequest {
        /// Each field.
        #[prost(message, repeated, tag = "1")]
        field_violations: Vec<FieldViolation>,
    }
    /// Which request it was, for a report to the service's owner.
    RequestInfo {
        /// An opaque name of the request.
        #[prost(string, tag = "1")]
        request_id: String,
        /// Anything that helps its owner.
        #[prost(string, tag = "2")]
        serving_data: String,
    }
    /// Which resource it was.
    ResourceInfo {
        /// Its type, such as `sql table`.
        #[prost(string, tag = "1")]
        resource_type: String,
        /// Its name.
        #[prost(string, tag = "2")]
        resource_name: String,
        /// Who owns it.
        #[prost(string, tag = "3")]
        owner: String,
        /// What went wrong with it.
        #[prost(string, tag = "4")]
        description: String,
    }
    /// Where to read on.
    Help {
        /// The pages.
        #[prost(message, repeated, tag = "1")]
        links: Vec<HelpLink>,
    }
    /// The message for a user.
    LocalizedMessage {
        /// Its language, such as `en-US` (BCP 47).
        #[prost(string, tag = "1")]
        locale: String,
        /// The text.
        #[prost(string, tag = "2")]
        message: String,
    }
}

/// A quota of [`QuotaFailure`].
#[derive(Clone, PartialEq, Message)]
pub struct QuotaViolation {
    /// Whose quota: `project:123`.
    #[prost(string, tag = "1")]
    pub subject: String,
    /// What happened, in words.
    #[prost(string, tag = "2")]
    pub description: String,
    /// The service that the quota is of.
    #[prost(string, tag = "3")]
    pub api_service: String,
    /// What is measured.
    #[prost(string, tag = "4")]
    pub quota_metric: String,
    /// The name of the limit.
    #[prost(string, tag = "5")]
    pub quota_id: String,
    /// Where the limit holds, such as a region.
    #[prost(btree_map = "string, string", tag = "6")]
    pub quota_dimensions: BTreeMap<String, String>,
    /// The limit.
    #[prost(int64, tag = "7")]
    pub quota_value: i64,
    /// The limit that is being rolled out.
    #[prost(int64, optional, tag = "8")]
    pub future_quota_value: Option<i64>,
}

/// A condition of [`PreconditionFailure`].
#[derive(Clone, PartialEq, Message)]
pub struct PreconditionViolation {
    /// The kind of condition, such as `TOS`.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// What it is about.
    #[prost(string, tag = "2")]
    pub subject: String,
    /// What to do, in words.
    #[prost(string, tag = "3")]
    pub description: String,
}

/// A field of [`BadRequest`].
#[derive(Clone, PartialEq, Message)]
pub struct FieldViolation {
    /// The path of the field: `emails[2].address`.
    #[prost(string, tag = "1")]
    pub field: String,
    /// What is wrong with it.
    #[prost(string, tag = "2")]
    pub description: String,
    /// The same for programs, in capitals.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// The same for a user.
    #[prost(message, optional, tag = "4")]
    pub localized_message: Option<LocalizedMessage>,
}

/// A page of [`Help`].
#[derive(Clone, PartialEq, Message)]
pub struct HelpLink {
    /// What it offers.
    #[prost(string, tag = "1")]
    pub description: String,
    /// Where it is.
    #[prost(string, tag = "2")]
    pub url: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use antiphon::Status;

    // google/rpc/error_details.proto: names and numbers of fields.
    #[test]
    fn details_travel_under_their_public_names() {
        let info = ErrorInfo {
            reason: "R".to_owned(),
            domain: "d".to_owned(),
            metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        };
        let retry = RetryInfo { retry_delay: Some(Duration { seconds: 3, nanos: 0 }) };
        let status = Status::unavailable("").with_detail(&info).with_detail(&retry);
        assert_eq!(status.details()[0].type_name, "google.rpc.ErrorInfo");
        assert_eq!(&status.details()[0].value[..], b"\x0a\x01R\x12\x01d\x1a\x06\x0a\x01k\x12\x01v");
        assert_eq!(&status.details()[1].value[..], b"\x0a\x02\x08\x03");
        assert_eq!(status.detail::<RetryInfo>(), Some(retry));
        assert_eq!(status.detail::<Help>(), None);
    }
}
