//! What is offered.

use crate::io::codec::json::Str;
use crate::io::codec::openrtb::object::{List, object};

object! {
    /// What a bidder is asked.
    BidRequest<'a> {
        /// Its name.
        id: Str<'a>,
        /// The impressions that are offered, at least one.
        imp: List<'a, Imp<'a>> where some,
        /// Where they are, if that is a web site.
        site: Option<Site<'a>>,
        /// Where they are, if that is an application.
        app: Option<App<'a>>,
        /// On what.
        device: Option<Device<'a>>,
        /// For whom.
        user: Option<User<'a>>,
        /// 1 for a test that is not paid for.
        test: u32 = 0,
        /// 1 for the price that was bid, 2 for the second one, above 500 by agreement.
        at: u32 = 2,
        /// Milliseconds in which an answer must be there.
        tmax: Option<u32>,
        /// Seats that may bid.
        wseat: List<'a, Str<'a>>,
        /// Seats that may not.
        bseat: List<'a, Str<'a>>,
        /// 1 if these are all impressions of the place.
        allimps: u32 = 0,
        /// Currencies that may be bid in.
        cur: List<'a, Str<'a>>,
        /// Categories that advertisers must be of.
        acat: List<'a, Str<'a>>,
        /// Categories that they may not be of.
        bcat: List<'a, Str<'a>>,
        /// Which taxonomy categories are of.
        cattax: u32 = 1,
        /// Domains of advertisers that may not bid.
        badv: List<'a, Str<'a>>,
        /// Applications that may not be advertised.
        bapp: List<'a, Str<'a>>,
        /// What the law has it.
        regs: Option<Regs<'a>>,
    }
}

object! {
    /// An impression.
    Imp<'a> limit imps {
        /// Its name within the request.
        id: Str<'a>,
        /// It may be a banner.
        banner: Option<Banner<'a>>,
        /// It may be a video.
        video: Option<Video<'a>>,
        /// It may be sold by a deal.
        pmp: Option<Pmp<'a>>,
        /// 1 for the whole screen.
        instl: u32 = 0,
        /// Where it is on the page.
        tagid: Option<Str<'a>>,
        /// The least price of a thousand.
        bidfloor: f64 = 0.0,
        /// In which currency.
        bidfloorcur: Str<'a> = "USD".into(),
        /// 1 if it must come by HTTPS.
        secure: Option<u32>,
        /// 1 if the user gets something for looking.
        rwdd: u32 = 0,
        /// Seconds that may pass until it is shown.
        exp: Option<u32>,
    }
}

object! {
    /// A picture, or what acts as one.
    Banner<'a> {
        /// Sizes that it may have.
        format: List<'a, Format>,
        /// The width, if it is fixed, in pixels that are independent of the device.
        w: Option<u32>,
        /// The height.
        h: Option<u32>,
        /// Kinds that it may not be of.
        btype: List<'a, u32>,
        /// Attributes that it may not have.
        battr: List<'a, u32>,
        /// Where it is on the screen.
        pos: Option<u32>,
        /// Types of content that are taken.
        mimes: List<'a, Str<'a>>,
        /// Frameworks that are there.
        api: List<'a, u32>,
    }
}

object! {
    /// A size.
    Format limit formats {
        /// Its width.
        w: Option<u32>,
        /// Its height.
        h: Option<u32>,
        /// Its width where only the ratio counts.
        wratio: Option<u32>,
        /// Its height there.
        hratio: Option<u32>,
        /// The least width there.
        wmin: Option<u32>,
    }
}

object! {
    /// A video.
    Video<'a> {
        /// Types of content that are taken, at least one.
        mimes: List<'a, Str<'a>> where some,
        /// The least seconds that it lasts.
        minduration: u32 = 0,
        /// The most.
        maxduration: Option<u32>,
        /// Seconds after which it begins, or -1 and -2 for somewhere within and at the end.
        startdelay: Option<i32>,
        /// Protocols that are taken.
        protocols: List<'a, u32>,
        /// Its width.
        w: Option<u32>,
        /// Its height.
        h: Option<u32>,
        /// How it is placed.
        plcmt: Option<u32>,
        /// 1 within content, 2 over it.
        linearity: Option<u32>,
        /// 1 if it can be skipped.
        skip: Option<u32>,
        /// Attributes that it may not have.
        battr: List<'a, u32>,
        /// How it begins to play.
        playbackmethod: List<'a, u32>,
        /// Frameworks that are there.
        api: List<'a, u32>,
    }
}

object! {
    /// Deals by which an impression is sold.
    Pmp<'a> {
        /// 1 if there is no other way.
        private_auction: u32 = 0,
        /// The deals.
        deals: List<'a, Deal<'a>>,
    }
}

object! {
    /// An agreement between a seller and buyers.
    Deal<'a> limit deals {
        /// Its name.
        id: Str<'a>,
        /// The least price of a thousand.
        bidfloor: f64 = 0.0,
        /// In which currency.
        bidfloorcur: Str<'a> = "USD".into(),
        /// As that of the request, or 3: the floor is the price.
        at: Option<u32>,
        /// Seats that may bid.
        wseat: List<'a, Str<'a>>,
        /// Domains of advertisers that may.
        wadomain: List<'a, Str<'a>>,
    }
}

object! {
    /// A web site.
    Site<'a> {
        /// Its name at the exchange.
        id: Option<Str<'a>>,
        /// Its name for people.
        name: Option<Str<'a>>,
        /// Its domain.
        domain: Option<Str<'a>>,
        /// What it is about.
        cat: List<'a, Str<'a>>,
        /// The address of the page.
        page: Option<Str<'a>>,
        /// Whose it is.
        publisher: Option<Publisher<'a>>,
    }
}

object! {
    /// An application.
    App<'a> {
        /// Its name at the exchange.
        id: Option<Str<'a>>,
        /// Its name for people.
        name: Option<Str<'a>>,
        /// Its name in the store.
        bundle: Option<Str<'a>>,
        /// Its domain.
        domain: Option<Str<'a>>,
        /// What it is about.
        cat: List<'a, Str<'a>>,
        /// Whose it is.
        publisher: Option<Publisher<'a>>,
    }
}

object! {
    /// Whose a site or an application is.
    Publisher<'a> {
        /// Its name at the exchange.
        id: Option<Str<'a>>,
        /// Its name for people.
        name: Option<Str<'a>>,
        /// Its domain.
        domain: Option<Str<'a>>,
    }
}

object! {
    /// What the user looks at.
    Device<'a> {
        /// What the browser calls itself.
        ua: Option<Str<'a>>,
        /// Where it is.
        geo: Option<Geo<'a>>,
        /// 1 if the user is not to be followed.
        dnt: Option<u32>,
        /// 1 if that is to be done less.
        lmt: Option<u32>,
        /// Its address.
        ip: Option<Str<'a>>,
        /// Its address by the newer protocol.
        ipv6: Option<Str<'a>>,
        /// What kind it is.
        devicetype: Option<u32>,
        /// Who makes it.
        make: Option<Str<'a>>,
        /// Its model.
        model: Option<Str<'a>>,
        /// Its system.
        os: Option<Str<'a>>,
        /// The version of that.
        osv: Option<Str<'a>>,
        /// Its language.
        language: Option<Str<'a>>,
        /// How it is connected.
        connectiontype: Option<u32>,
        /// Its name for advertisers.
        ifa: Option<Str<'a>>,
    }
}

object! {
    /// A place.
    Geo<'a> {
        /// Degrees north.
        lat: Option<f64>,
        /// Degrees east.
        lon: Option<f64>,
        /// The country by three letters.
        country: Option<Str<'a>>,
        /// The region within it.
        region: Option<Str<'a>>,
        /// The city.
        city: Option<Str<'a>>,
        /// The postal code.
        zip: Option<Str<'a>>,
    }
}

object! {
    /// Who looks.
    User<'a> {
        /// The name at the exchange.
        id: Option<Str<'a>>,
        /// The name at the buyer.
        buyeruid: Option<Str<'a>>,
        /// What the user has agreed to.
        consent: Option<Str<'a>>,
        /// Words.
        keywords: Option<Str<'a>>,
        /// Where the user lives.
        geo: Option<Geo<'a>>,
    }
}

object! {
    /// What the law has it.
    Regs<'a> {
        /// 1 for children, by the law of the United States.
        coppa: Option<u32>,
        /// 1 where the law of the European Union holds.
        gdpr: Option<u32>,
        /// What the user has said by the law of the United States.
        us_privacy: Option<Str<'a>>,
        /// The same by the common platform.
        gpp: Option<Str<'a>>,
        /// Which of its sections hold.
        gpp_sid: List<'a, u32>,
    }
}

impl BidRequest<'_> {
    /// Appends it as JSON. What is as it would be if it were absent is left out.
    pub fn encode(&self, into: &mut Vec<u8>) {
        crate::io::codec::openrtb::object::Part::write(self, into);
    }
}
