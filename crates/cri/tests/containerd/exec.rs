//! Processes in a running container.

use cri::events::Event;
use cri::exec::{Exec, ExecOptions, Output, TerminalSize};
use cri::v1;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::events::next;
use crate::support::{Node, Pod, container};

fn options(command: &[&str]) -> ExecOptions {
    ExecOptions { command: command.iter().map(|&word| word.to_owned()).collect(), ..Default::default() }
}

async fn exec(node: &Node, pod: &Pod, options: ExecOptions) -> Exec {
    node.runtime.exec(&pod.container, options).await.unwrap()
}

async fn text(mut output: Output) -> String {
    let mut text = String::new();
    output.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn outputs_are_apart_and_the_exit_code_is_kept() {
    let node = Node::start().await;
    let pod = node.idle("web").await;
    let script = "echo out; echo err >&2; cat; exit 3";
    let exec = exec(&node, &pod, options(&["sh", "-c", script])).await;
    assert!(exec.stdin.is_none());
    assert_eq!(text(exec.stdout).await, "out\n");
    assert_eq!(text(exec.stderr.unwrap()).await, "err\n");
    assert_eq!(exec.process.wait().await.unwrap(), 3);
    assert_eq!(exec.process.wait().await.unwrap(), 3);
    assert_eq!(node.pipes(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn input_can_end_while_output_goes_on() {
    let node = Node::start().await;
    let pod = node.idle("web").await;
    let command = options(&["sh", "-c", "cat; echo end"]);
    let exec = exec(&node, &pod, ExecOptions { stdin: true, ..command }).await;
    // More than a pipe holds, so that reading and writing must go on side by side.
    let sent = "0123456789".repeat(50_000);
    let mut stdin = exec.stdin.unwrap();
    let process = exec.process.clone();
    let writing = async {
        stdin.write_all(sent.as_bytes()).await.unwrap();
        drop(stdin);
        process.close_stdin().await.unwrap();
    };
    let (received, ()) = tokio::join!(text(exec.stdout), writing);
    assert_eq!(received, format!("{sent}end\n"));
    assert_eq!(exec.process.wait().await.unwrap(), 0);
}

#[tokio::test]
async fn a_process_is_as_its_container() {
    let node = Node::start().await;
    let mut config = container(&["/bin/sleep", "100000"]);
    config.working_dir = "/tmp".to_owned();
    config.envs.push(v1::KeyValue { key: "COLOR".to_owned(), value: "blue".to_owned() });
    let linux = config.linux.as_mut().unwrap();
    let security = linux.security_context.as_mut().unwrap();
    security.run_as_user = Some(v1::Int64Value { value: 1000 });
    let pod = node.run("web", config).await;
    let exec = exec(&node, &pod, options(&["sh", "-c", "id -u; pwd; echo $COLOR"])).await;
    assert_eq!(text(exec.stdout).await, "1000\n/tmp\nblue\n");
}

#[tokio::test]
async fn a_terminal_has_a_size_that_can_change() {
    let node = Node::start().await;
    let pod = node.idle("web").await;
    let script = "stty -echo; stty size; read word; stty size; echo $word $TERM";
    let exec = exec(
        &node,
        &pod,
        ExecOptions {
            stdin: true,
            terminal: Some(TerminalSize { width: 100, height: 30 }),
            ..options(&["sh", "-c", script])
        },
    )
    .await;
    assert!(exec.stderr.is_none());
    let mut stdout = exec.stdout;
    let mut first = [0; 8];
    stdout.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"30 100\r\n");
    let size = TerminalSize { width: 132, height: 43 };
    exec.process.resize(size).await.unwrap();
    exec.stdin.unwrap().write_all(b"go\n").await.unwrap();
    assert_eq!(text(stdout).await, "43 132\r\ngo xterm\r\n");
    assert_eq!(exec.process.wait().await.unwrap(), 0);
}

#[tokio::test]
async fn output_that_is_read_late_is_whole() {
    let node = Node::start().await;
    let pod = node.idle("web").await;
    // Less than a pipe holds: it ends before anything is read.
    let small = exec(&node, &pod, options(&["head", "-c", "40000", "/dev/zero"])).await;
    assert_eq!(small.process.wait().await.unwrap(), 0);
    assert_eq!(text(small.stdout).await.len(), 40_000);
    // Far more than a pipe holds.
    let large = exec(&node, &pod, options(&["head", "-c", "5000000", "/dev/zero"])).await;
    assert_eq!(text(large.stdout).await.len(), 5_000_000);
    assert_eq!(large.process.wait().await.unwrap(), 0);
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_an_error() {
    let node = Node::start().await;
    let pod = node.idle("web").await;
    let runtime = &node.runtime;
    let error = runtime.exec(&pod.container, options(&["nonsense"])).await.unwrap_err();
    assert!(error.to_string().contains("\"nonsense\": executable file not found"), "{error}");
    assert_eq!(node.pipes(), Vec::<std::path::PathBuf>::new());
    let error = runtime.exec("no-such-container", options(&["id"])).await.unwrap_err();
    assert!(error.not_found(), "{error}");
}

#[tokio::test]
async fn a_process_ends_by_signal_and_with_its_last_handle() {
    let node = Node::start().await;
    let pod = node.idle("web").await;
    let exec_one = exec(&node, &pod, options(&["sleep", "1000"])).await;
    exec_one.process.kill(15).await.unwrap();
    assert_eq!(exec_one.process.wait().await.unwrap(), 143);
    exec_one.process.kill(15).await.unwrap();

    let mut events = node.runtime.events().await.unwrap();
    drop(exec(&node, &pod, options(&["sleep", "1000"])).await);
    loop {
        if let Event::Exit(exit) = next(&mut events).await.unwrap().unwrap() {
            assert_eq!((exit.container, exit.code), (pod.container.clone(), 137));
            assert!(exit.exec.is_some());
            break;
        }
    }
}

#[tokio::test]
async fn a_process_outlives_a_restart_of_containerd() {
    let mut node = Node::start().await;
    let pod = node.idle("web").await;
    let command = options(&["sh", "-c", "cat; exit 5"]);
    let exec = exec(&node, &pod, ExecOptions { stdin: true, ..command }).await;
    node.kill_containerd();
    node.start_again().await;
    let mut stdin = exec.stdin.unwrap();
    stdin.write_all(b"still here").await.unwrap();
    drop(stdin);
    exec.process.close_stdin().await.unwrap();
    assert_eq!(text(exec.stdout).await, "still here");
    assert_eq!(exec.process.wait().await.unwrap(), 5);
}
