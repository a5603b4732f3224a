//! Many questions to a node in one round trip: a shell script that runs each command with its time limit and marks what
//! belongs to which.

use std::time::Duration;

use crate::access::{Access, AccessError};

/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(8);
/// How long a round may take, with the way there.
const ROUND: Duration = Duration::from_secs(60);
/// Bytes of one answer, at most; of more, the last.
const BYTES: usize = 1 << 20;
/// Exit code by which a command says that it does not apply to this node.
pub(super) const NOT_HERE: i32 = 86;
/// Exit code of `timeout` when the command took too long.
const TOO_LONG: i32 = 124;

/// What a command answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Its output, both streams together; and whether it succeeded.
    Said(String, bool),
    /// It does not apply to this node.
    NotHere,
    /// It did not answer, and why.
    Silent(String),
}

/// Asks all commands on the node, one after the other.
///
/// # Errors
/// When the node can't be reached or runs no shell.
pub(super) async fn ask(access: &dyn Access, commands: &[String]) -> Result<Vec<Answer>, AccessError> {
    if commands.is_empty() {
        return Ok(Vec::new());
    }
    let mark = format!("shipmate-{}", uuid::Uuid::new_v4().simple());
    let script = script(&mark, commands);
    let ran = access.run("sh", &["-s"], Some(script.as_bytes()), ROUND).await?;
    let output = String::from_utf8_lossy(&ran.stdout);
    if !output.contains(&mark) {
        let words = ran.text();
        let why = words.trim().lines().last().unwrap_or("its shell said nothing").to_owned();
        return Err(AccessError::Unreachable { node: access.node().to_owned(), why });
    }
    Ok(answers(&mark, &output, commands.len()))
}

fn script(mark: &str, commands: &[String]) -> String {
    let seconds = COMMAND.as_secs();
    let mut script = format!(
        "LC_ALL=C; PATH=\"$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin\"; export LC_ALL PATH\n\
         limit=; command -v timeout >/dev/null 2>&1 && limit='timeout -k 1 {seconds}'\n\
         ask() {{\n\
         printf '%s begin %s\\n' {mark} \"$1\"\n\
         {{ $limit sh -c \"$2\" 2>&1; printf '\\n%s code %s\\n' {mark} \"$?\"; }} </dev/null | tail -c {BYTES}\n\
         }}\n"
    );
    for (number, command) in commands.iter().enumerate() {
        script.push_str(&format!("ask {number} '{}'\n", command.replace('\'', r"'\''")));
    }
    script
}

fn answers(mark: &str, output: &str, count: usize) -> Vec<Answer> {
    let mut answers = vec![Answer::Silent("the node's answer ended early".to_owned()); count];
    let begin = format!("{mark} begin ");
    let code = format!("\n{mark} code ");
    for part in output.split(&begin).skip(1) {
        let Some((number, rest)) = part.split_once('\n') else { continue };
        let (Ok(number), Some((text, ended))) = (number.parse::<usize>(), rest.rsplit_once(&code)) else { continue };
        let Some(answer) = answers.get_mut(number) else { continue };
        *answer = match ended.trim().parse() {
            Ok(NOT_HERE) => Answer::NotHere,
            Ok(TOO_LONG) => Answer::Silent(format!("it took longer than {} s", COMMAND.as_secs())),
            Ok(code) => Answer::Said(whole_lines(text), code == 0),
            Err(_) => continue,
        };
    }
    answers
}

/// Of a text that was cut at its start, the whole lines.
fn whole_lines(text: &str) -> String {
    if text.len() + 64 < BYTES {
        return text.to_owned();
    }
    text.split_once('\n').map_or(text, |(_, rest)| rest).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Local;

    #[tokio::test]
    async fn every_command_gets_its_own_answer() {
        let commands = [
            "echo \"it's\"; echo more >&2",
            "cat; printf end",
            "exit 86",
            "echo partly; exit 3",
            "head -c 3000000 /dev/zero | tr '\\0' 'x'; echo; echo last",
        ];
        let commands: Vec<String> = commands.iter().map(|&command| command.to_owned()).collect();
        let answers = ask(&Local::new("here"), &commands).await.unwrap();
        assert_eq!(answers[0], Answer::Said("it's\nmore\n".to_owned(), true));
        assert_eq!(answers[1], Answer::Said("end".to_owned(), true), "no command reads the script");
        assert_eq!(answers[2], Answer::NotHere);
        assert_eq!(answers[3], Answer::Said("partly\n".to_owned(), false));
        assert_eq!(answers[4], Answer::Said("last\n".to_owned(), true), "of too much, the end");
    }

    #[test]
    fn an_answer_that_ends_early_is_no_answer() {
        let output = "noise\nm begin 0\nyes\n\nm code 0\nm begin 1\nhalf";
        let read = answers("m", output, 2);
        assert_eq!(read[0], Answer::Said("yes\n".to_owned(), true));
        assert!(matches!(read[1], Answer::Silent(_)));
    }
}
