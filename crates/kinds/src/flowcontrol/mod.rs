//! The group `flowcontrol.apiserver.k8s.io`.
//!
//! Kinds that are stored without being acted on share this file until they get rules and a folder.

use api::{KindDef, Rules};
use k8s_openapi::api::flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration, QueuingConfiguration};
use serde_json::Value;

use crate::table::{NONE, age, name, string, text_or};

/// `FlowSchema`.
pub const FLOW_SCHEMA: KindDef = {
    const RULES: Rules<FlowSchema> = Rules {
        columns: &[
            name(),
            string("PriorityLevel", |schema, _| Value::from(schema.spec.priority_level_configuration.name.as_str())),
            string("MatchingPrecedence", |schema, _| Value::from(schema.spec.matching_precedence.unwrap_or_default())),
            string("DistinguisherMethod", |schema, _| {
                text_or(&schema.spec.distinguisher_method.as_ref().map(|method| method.type_.clone()), NONE)
            }),
            age(),
            string("MissingPL", |schema, _| Value::from(dangling(schema))),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_status().with_generation()
};

/// `PriorityLevelConfiguration`.
pub const PRIORITY_LEVEL_CONFIGURATION: KindDef = {
    const RULES: Rules<PriorityLevelConfiguration> = Rules {
        columns: &[
            name(),
            string("Type", |level, _| Value::from(level.spec.type_.as_str())),
            string("NominalConcurrencyShares", |level, _| {
                let limited = level.spec.limited.as_ref();
                or_none(limited.map(|limited| limited.nominal_concurrency_shares.unwrap_or_default()))
            }),
            string("Queues", |level, _| or_none(queuing(level).map(|queuing| queuing.queues.unwrap_or_default()))),
            string("HandSize", |level, _| or_none(queuing(level).map(|queuing| queuing.hand_size.unwrap_or_default()))),
            string("QueueLengthLimit", |level, _| {
                or_none(queuing(level).map(|queuing| queuing.queue_length_limit.unwrap_or_default()))
            }),
            age(),
        ],
        ..Rules::NONE
    };
    KindDef::cluster(&RULES).with_status().with_generation()
};

fn dangling(schema: &FlowSchema) -> String {
    let conditions = schema.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let found = conditions.iter().find(|condition| condition.type_ == "Dangling");
    found.and_then(|condition| condition.status.clone()).unwrap_or_else(|| "?".to_owned())
}

fn queuing(level: &PriorityLevelConfiguration) -> Option<&QueuingConfiguration> {
    level.spec.limited.as_ref()?.limit_response.queuing.as_ref()
}

fn or_none(number: Option<i32>) -> Value {
    number.map_or_else(|| Value::from(NONE), Value::from)
}
