//! The bidder among the examples, as it comes out of the build, and `curl` as its exchange.

use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use super::world::{PATIENCE, curl, start};

#[test]
fn the_bidder_bids_within_cap_and_pace_and_in_time() {
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().and_then(|it| it.parent()).unwrap().join("examples/bidder");
    let Some(mut bidder) = start(program.to_str().unwrap(), &["127.0.0.1:0"]) else { return };
    let mut said = String::new();
    BufReader::new(bidder.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let url = said.split_whitespace().find(|word| word.starts_with("http")).unwrap();
    let wins = url.replace("/bid,", "/wins");
    let url = url.trim_end_matches(',');
    let request = |user: &str, tmax: u32, floor: f64| {
        format!(
            "{{\"id\": \"r1\", \"tmax\": {tmax}, \"user\": {{\"id\": \"{user}\"}}, \"ext\": {{}}, \
             \"imp\": [{{\"id\": \"i1\", \"bidfloor\": {floor}, \"banner\": {{\"w\": 300, \"h\": \
             250}}}}]}}"
        )
    };
    let ask = |body: &str| {
        let said = curl(&["-w", " %{http_code} %{time_total}", "-d", body, url])?;
        let (said, took) = said.rsplit_once(' ').unwrap();
        let (said, status) = said.rsplit_once(' ').unwrap();
        let took = took.parse::<f64>().unwrap();
        Some((status.parse::<u16>().unwrap(), said.to_owned(), took))
    };
    let bids = |user: &str| ask(&request(user, 10_000, 0.5)).is_some_and(|said| said.0 == 200);
    let wins = |user: &str, price: f64| {
        let body = format!("{{\"user\": \"{user}\", \"price\": {price}}}");
        curl(&["-d", &body, &wins]).unwrap() == "{\"taken\":1}\n"
    };

    let Some((status, said, _)) = ask(&request("ada", 10_000, 0.5)) else { return };
    assert_eq!(status, 200, "{said}");
    assert!(
        said.starts_with("{\"id\":\"r1\",\"seatbid\":[{\"bid\":[{\"id\":\"1\",\"impid\":\"i1\"")
    );
    assert!(said.contains("\"price\":0.55") && said.contains("\"w\":300,\"h\":250"), "{said}");
    assert_eq!(ask(&request("ada", 10_000, 50.0)).unwrap().0, 204, "too dear");

    // The third advertisement that she is shown is the last one of this minute.
    for shown in 0..3 {
        assert!(bids("ada"), "{shown}");
        assert!(wins("ada", 0.01));
    }
    assert!(!bids("ada"), "the cap");
    assert!(bids("bob"), "is a user's own");

    // What is spent in a second is bounded, and that is over with it.
    assert!(wins("carl", 2.5));
    assert!(!bids("bob"), "the pace");
    let since = Instant::now();
    while !bids("bob") {
        assert!(since.elapsed() < PATIENCE, "the budget never comes back");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(!bids("ada"), "the cap is there still");

    // Without time there is no bid, and nobody waits for it.
    let (status, said, took) = ask(&request("dora", 1, 0.5)).unwrap();
    assert_eq!((status, said.as_str()), (204, ""));
    assert!(took < 1.0, "{took}");
    let (status, said, _) = ask("{\"id\": \"r2\", \"imp\": [{}]}").unwrap();
    assert_eq!(status, 400);
    assert!(said.contains("imp[0].id: is missing"), "{said}");
}
