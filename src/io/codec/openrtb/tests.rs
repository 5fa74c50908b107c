use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value as Tree, json};

use super::*;
use crate::io::codec::json::DEPTH_MAX;

/// As the specification shows one, with what is not read among it.
fn sample() -> Tree {
    json!({
        "id": "80ce30c53c16e6ede735f123ef6e32361bfc7b22", "at": 1, "tmax": 120,
        "cur": ["USD", "EUR"], "ext": {"deep": [[{}], "]"]}, "wlang": ["en"], "test": 1,
        "imp": [
            {"id": "1", "bidfloor": 0.03, "banner": {"h": 250, "w": 300, "pos": 0, "topframe": 1,
                "format": [{"w": 300, "h": 250}, {"w": 320, "h": 50}], "battr": [13]}},
            {"id": "2", "bidfloor": 1, "bidfloorcur": "EUR", "native": {"request": "{}"},
                "video": {"mimes": ["video/mp4"], "startdelay": -1, "protocols": [2, 3]},
                "pmp": {"private_auction": 1, "deals": [{"id": "d", "bidfloor": 2.5, "at": 3}]}},
        ],
        "site": {"id": "102855", "cat": ["IAB3-1"], "page": "http://www.foobar.com/1234.html",
            "publisher": {"id": "8953"}},
        "device": {"ua": "Mozilla/5.0 \"x\"", "ip": "123.145.167.10", "geo": {"lat": -33.5}},
        "user": {"id": "55816b39711f9b5acf3b90e313ed29e51665623f", "buyeruid": "b"},
        "bcat": ["IAB25"], "badv": ["a.com", "b.com"], "app": null,
    })
}

fn texts(list: List<'_, crate::io::codec::json::Str<'_>>) -> Vec<String> {
    list.iter().map(|it| it.to_string()).collect()
}

#[test]
fn a_request_is_read_as_it_is() {
    let bytes = sample().to_string().into_bytes();
    let mut reader = Reader::new();
    let request = reader.request(&bytes).unwrap();
    assert_eq!((request.at, request.tmax, request.test, request.cattax), (1, Some(120), 1, 1));
    assert_eq!(texts(request.cur), ["USD", "EUR"]);
    assert_eq!(texts(request.badv), ["a.com", "b.com"]);
    let imps: Vec<Imp<'_>> = request.imp.iter().collect();
    assert_eq!((imps.len(), request.imp.len()), (2, 2));
    let banner = imps[0].banner.unwrap();
    assert_eq!((banner.w, banner.h, imps[0].bidfloor), (Some(300), Some(250), 0.03));
    assert!(imps[0].bidfloorcur == "USD" && imps[1].bidfloorcur == "EUR");
    let formats: Vec<_> = banner.format.iter().map(|it| (it.w, it.h)).collect();
    assert_eq!(formats, [(Some(300), Some(250)), (Some(320), Some(50))]);
    let video = imps[1].video.unwrap();
    assert_eq!((video.startdelay, video.protocols.iter().sum()), (Some(-1), 5));
    let pmp = imps[1].pmp.unwrap();
    let deal = pmp.deals.iter().next().unwrap();
    assert_eq!((pmp.private_auction, deal.bidfloor, deal.at), (1, 2.5, Some(3)));
    let device = request.device.unwrap();
    assert!(device.ua.unwrap() == "Mozilla/5.0 \"x\"" && request.app.is_none());
    assert_eq!(device.ua.unwrap().as_str(), None, "there are escapes in it");
    assert_eq!(device.geo.unwrap().lat, Some(-33.5));
    assert_eq!(reader.skipped(), 4, "ext, wlang, topframe, native");
}

#[test]
fn errors_name_the_way_and_the_place() {
    let refused = |text: &str| Reader::new().request(text.as_bytes()).unwrap_err().to_string();
    for (text, golden) in [
        (r#"{"imp": [{"id": ""}]}"#, "at byte 20: id: is missing"),
        (r#"{"id": "r"}"#, "at byte 10: imp: is empty"),
        (r#"{"id": null, "imp": []}"#, "at byte 22: id: is missing"),
        (r#"{"id": "", "imp": []}"#, "at byte 20: imp: is empty"),
        (
            r#"{"id": "r", "imp": [{"id": "1"}, {"banner": {}}]}"#,
            "at byte 46: imp[1].id: is missing",
        ),
        (
            r#"{"id": "r", "imp": [{"id": "1", "banner": {"format": [{"w": 1}, {"w": "x"}]}}]}"#,
            "at byte 70: imp[0].banner.format[1].w: not a whole number, u32",
        ),
        (
            r#"{"id": "r", "imp": [{"id": "1", "banner": {"w": -1}}]}"#,
            "at byte 48: imp[0].banner.w: not a whole number, u32",
        ),
        (r#"{"id": 7, "imp": []}"#, "at byte 7: id: text is missing"),
        (r#"{"id": "r", "imp": {}}"#, "at byte 19: imp: not a list"),
        (r#"{"id": "r", "imp": [7]}"#, "at byte 20: imp[0]: not an object"),
        (r#"{"id": "r", "tmax": 1.5}"#, "at byte 20: tmax: not a whole number, u32"),
        (
            r#"{"id": "r", "imp": [{"id": "1", "video": {}}]}"#,
            "at byte 42: imp[0].video.mimes: is empty",
        ),
        (r#"{"id": "\q", "imp": []}"#, "at byte 8: id: an escape or a letter that there is not"),
        ("[]", "at byte 0: not an object"),
        ("", "at byte 0: it ends too early"),
        (r#"{"id": "r", "imp": [{"id": "1"}]} x"#, "at byte 34: something follows the value"),
    ] {
        assert_eq!(refused(text), golden, "{text}");
    }
    let deep = format!(r#"{{"ext": {}{}}}"#, "[".repeat(1 << 20), "]".repeat(1 << 20));
    assert_eq!(refused(&deep), format!("at byte {}: nested too deep", 8 + DEPTH_MAX));
}

#[test]
fn no_list_is_longer_than_it_may_be() {
    let limits = Limits { imps: 2, deals: 1, formats: 1, values: 3 };
    let refused = |request: Tree| {
        let bytes = request.to_string().into_bytes();
        Reader::within(limits).request(&bytes).map(drop).map_err(|error| error.reason.into_owned())
    };
    let imps = |count| (0..count).map(|n| json!({"id": n.to_string()})).collect::<Vec<_>>();
    assert_eq!(refused(json!({"id": "r", "imp": imps(2)})), Ok(()));
    let more = "there are more than the limits allow";
    assert_eq!(refused(json!({"id": "r", "imp": imps(3)})), Err(format!("imp: {more}")));
    let bcat = json!({"id": "r", "imp": imps(1), "bcat": ["", "", "", ""]});
    assert_eq!(refused(bcat), Err(format!("bcat: {more}")));
    let deals = json!([{"id": "r", "pmp": {"deals": [{"id": "1"}, {"id": "2"}]}}]);
    let deals = refused(json!({"id": "r", "imp": deals}));
    assert_eq!(deals, Err(format!("imp[0].pmp.deals: {more}")));
}

#[test]
fn a_response_is_written_and_read() {
    let domains = ["a.com".into()];
    let bid = Bid {
        id: "b\"\u{1}".into(),
        impid: "1".into(),
        price: 9.43,
        adm: Some("<a href=\"\\\">\u{e9}</a>".into()),
        adomain: List::of(&domains),
        w: Some(300),
        ..Bid::default()
    };
    let (bids, cur) = ([bid, bid], "EUR".into());
    let seats = [SeatBid { bid: List::of(&bids), seat: Some("s".into()), ..SeatBid::default() }];
    let response =
        Response { id: "r".into(), seatbid: List::of(&seats), cur, ..Response::default() };
    let mut bytes = Vec::new();
    response.encode(&mut bytes);
    let tree: Tree = serde_json::from_slice(&bytes).unwrap();
    let bid = json!({"id": "b\"\u{1}", "impid": "1", "price": 9.43, "w": 300,
        "adm": "<a href=\"\\\">\u{e9}</a>", "adomain": ["a.com"]});
    let seat = json!([{"seat": "s", "bid": [bid, bid]}]);
    assert_eq!(tree, json!({"id": "r", "cur": "EUR", "seatbid": seat}));
    let again = Reader::new().response(&bytes).unwrap();
    let first = again.seatbid.iter().next().unwrap().bid.iter().next().unwrap();
    assert!(first.adm == bids[0].adm && first.id == bids[0].id && first.price == 9.43);
    let none = Reader::new().response(br#"{"id": "r", "seatbid": [], "nbr": 2}"#).unwrap();
    assert_eq!((none.seatbid.is_empty(), none.nbr), (true, Some(2)));
    let priceless = br#"{"id": "r", "seatbid": [{"bid": [{"id": "b", "impid": "1"}]}]}"#;
    let error = Reader::new().response(priceless).unwrap_err();
    assert_eq!(error.reason, "seatbid[0].bid[0].price: is missing");
    // Nothing that is no number gets out.
    bytes.clear();
    Response {
        seatbid: List::of(&[SeatBid {
            bid: List::of(&[Bid { price: f64::NAN, ..Bid::default() }]),
            ..SeatBid::default()
        }]),
        ..Response::default()
    }
    .encode(&mut bytes);
    assert!(serde_json::from_slice::<Tree>(&bytes).is_ok());
}

fn text() -> impl Strategy<Value = Tree> {
    ".{0,8}".prop_map(Tree::from)
}

/// An object of some of these fields, each not as it would be if it were absent.
fn object(
    must: Vec<(&'static str, BoxedStrategy<Tree>)>,
    may: Vec<(&'static str, BoxedStrategy<Tree>)>,
) -> BoxedStrategy<Tree> {
    let must = must.into_iter().map(|(name, it)| it.prop_map(move |it| Some((name, it))).boxed());
    let may = may
        .into_iter()
        .map(|(name, it)| prop::option::of(it).prop_map(move |it| it.map(|it| (name, it))).boxed());
    must.chain(may)
        .collect::<Vec<_>>()
        .prop_map(|fields| {
            let fields = fields.into_iter().flatten();
            Tree::Object(fields.map(|(name, it)| (name.to_owned(), it)).collect::<Map<_, _>>())
        })
        .boxed()
}

fn list(of: BoxedStrategy<Tree>) -> BoxedStrategy<Tree> {
    prop::collection::vec(of, 1..4).prop_map(Tree::from).boxed()
}

fn whole() -> BoxedStrategy<Tree> {
    (3u32..).prop_map(Tree::from).boxed()
}

fn price() -> BoxedStrategy<Tree> {
    (1u32..1_000_000).prop_map(|n| Tree::from(f64::from(n) / 1024.0 + 0.000_1)).boxed()
}

fn requests() -> BoxedStrategy<Tree> {
    let text = || text().boxed();
    let format = object(vec![], vec![("w", whole()), ("h", whole()), ("wmin", whole())]);
    let banner = object(
        vec![],
        vec![("format", list(format)), ("pos", whole()), ("mimes", list(text())), ("w", whole())],
    );
    let video = object(
        vec![("mimes", list(text()))],
        vec![("minduration", whole()), ("startdelay", (-2i32..9).prop_map(Tree::from).boxed())],
    );
    let deal = object(vec![("id", text())], vec![("bidfloor", price()), ("wseat", list(text()))]);
    let pmp = object(vec![], vec![("private_auction", whole()), ("deals", list(deal))]);
    let imp = object(
        vec![("id", text())],
        vec![("banner", banner), ("video", video), ("pmp", pmp), ("bidfloor", price())],
    );
    let geo = object(vec![], vec![("lat", price()), ("country", text())]);
    let device = object(vec![], vec![("ua", text()), ("geo", geo), ("dnt", whole())]);
    let site = object(vec![], vec![("page", text()), ("cat", list(text()))]);
    object(
        vec![("id", text()), ("imp", list(imp))],
        vec![("device", device), ("site", site), ("tmax", whole()), ("badv", list(text()))],
    )
}

/// Goes through all there is.
fn look_at(bytes: &[u8]) -> Result<(), TestCaseError> {
    for read in [
        Reader::new().request(bytes).map(|it| _ = format!("{it:?}")),
        Reader::new().response(bytes).map(|it| _ = format!("{it:?}")),
    ] {
        if let Err(error) = read {
            prop_assert!(error.offset.unwrap() <= bytes.len(), "{error}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_read_is_written_again(tree in requests(), pretty in any::<bool>()) {
        let bytes = match pretty {
            true => serde_json::to_vec_pretty(&tree).unwrap(),
            false => serde_json::to_vec(&tree).unwrap(),
        };
        let mut reader = Reader::new();
        let mut again = Vec::new();
        reader.request(&bytes).unwrap().encode(&mut again);
        prop_assert_eq!(serde_json::from_slice::<Tree>(&again).unwrap(), tree);
        prop_assert_eq!(reader.skipped(), 0);
        for cut in 0..bytes.len() {
            prop_assert!(reader.request(&bytes[..cut]).is_err());
        }
    }

    #[test]
    fn changed_bytes_are_read_or_refused_within_them(
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), 0u8..3), 1..5),
    ) {
        let mut bytes = sample().to_string().into_bytes();
        for (at, byte, how) in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes.insert(at, byte),
                1 => _ = bytes.remove(at),
                _ => bytes[at] = b"\"\\{}[],:0-e.tn"[usize::from(byte) % 14],
            }
        }
        look_at(&bytes)?;
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_them(
        bytes in prop::collection::vec(
            prop::sample::select(b"\"\\{}[],:0-e.imp d\xff".to_vec()), 0..60),
    ) {
        look_at(&bytes)?;
        look_at(&[b"{\"id\":\"\",\"imp\":[{\"id\":", &bytes[..]].concat())?;
    }
}
