/// A whole HTML document that needs nothing else: no network, no script. Its content security policy says so too, so
/// that a browser would refuse what escaping might have missed.
struct Page {
  let title: String
  let body: [Markup]

  var markup: Markup {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>\(title)</title>
    <style>\(Self.style)</style>
    </head>
    <body>
    <main>
    \(body)</main>
    </body>
    </html>

    """
  }

  // Colours by Okabe and Ito, which the colour-blind tell apart; the darker ground needs lighter ones.
  private static let style: Markup = """
    :root{--ground:#fff;--text:#1b1f24;--faint:#646c76;--rule:#e3e6ea;--panel:#f6f7f9;
    --a:#0068b5;--b:#c8500a;--wait:#8fb8de;--queue:#b9bec6;--prefill:#0068b5;--transfer:#e0a100;--stream:#1a9a74;
    --lag:#a8449c;--bad:#c62f2f;--good:#1a8a66;--warning:#a86f00}
    @media(prefers-color-scheme:dark){:root{--ground:#14171b;--text:#e4e7eb;--faint:#9aa3ad;--rule:#2b3037;
    --panel:#1d2126;    --a:#5cb3f5;--b:#f2894a;--wait:#3c678e;--queue:#5a626d;--prefill:#4ba3ea;--transfer:#e8b730;--stream:#35bd92;
    --lag:#d884cc;--bad:#f06a6a;--good:#41c795;--warning:#e5b04a}}
    *{box-sizing:border-box}
    body{margin:0;background:var(--ground);color:var(--text);font:15px/1.5 system-ui,sans-serif}
    main{max-width:1108px;margin:0 auto;padding:24px}
    h1{font-size:24px;margin:0 0 4px}h2{font-size:19px;margin:36px 0 8px}
    p{margin:4px 0}.what{color:var(--faint)}
    ul.findings{list-style:none;margin:14px 0;padding:12px 16px;background:var(--panel);border-radius:8px}
    .findings li{padding:2px 0 2px 22px;position:relative}
    .findings li::before{content:"";position:absolute;left:2px;top:10px;width:10px;height:10px;border-radius:50%}
    .findings .good::before{background:var(--good)}
    .findings .warning::before{background:var(--warning);border-radius:2px}
    .findings .bad::before{background:var(--bad);border-radius:0;transform:rotate(45deg)}
    .findings .bad{font-weight:600}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:10px;margin:14px 0}
    .tiles div{background:var(--panel);border-radius:8px;padding:10px 14px}
    .tiles b{display:block;font-size:22px;line-height:1.25;font-variant-numeric:tabular-nums}
    .tiles span{display:block;color:var(--faint);font-size:13px}
    .charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:14px}
    figure{margin:14px 0;overflow-x:auto}figcaption{color:var(--faint);font-size:13px}figcaption b{color:var(--text);
    font-size:15px;margin-right:6px}
    svg{display:block;width:100%;height:auto;font-size:11px;fill:var(--text)}
    .grid path{stroke:var(--rule);fill:none}.grid text,.name{fill:var(--faint)}
    .line{fill:none;stroke-width:2;stroke-linejoin:round}.mark{paint-order:stroke;stroke:var(--ground);stroke-width:4px}
    .series0 .line{stroke:var(--a)}.series1 .line{stroke:var(--b)}.series2 .line{stroke:var(--stream)}
    .series0 circle,.series0 .area{fill:var(--a)}.series1 circle,.series1 .area{fill:var(--b)}
    .series2 circle,.series2 .area{fill:var(--stream)}
    .series0 .mark{fill:var(--a)}.series1 .mark{fill:var(--b)}.area{fill-opacity:.75}
    .series3 .area{fill:var(--bad)}.missed circle{fill:var(--bad)}
    .goal{stroke:var(--faint);stroke-dasharray:4 4;fill:none}
    .better circle,.better .word{fill:var(--good)}.better .line{stroke:var(--good)}
    .worse circle,.worse .word{fill:var(--bad)}.worse .line{stroke:var(--bad)}
    .same circle,.same .word{fill:var(--faint)}.same .line{stroke:var(--faint)}.tick{stroke-width:1px;stroke-opacity:.7}
    .held{fill:var(--rule);background:var(--rule)}.lag{fill:var(--lag);background:var(--lag)}
    .queue{fill:var(--queue);background:var(--queue)}.prefill{fill:var(--prefill);background:var(--prefill)}
    .transfer{fill:var(--transfer);background:var(--transfer)}.wait{fill:var(--wait);background:var(--wait)}
    .stream{fill:var(--stream);background:var(--stream)}.failed{fill:var(--bad);background:var(--bad)}
    .hits rect{fill:transparent}.hits rect:hover{fill:var(--text);fill-opacity:.15}
    .legend{color:var(--faint);font-size:13px}.legend span{margin-right:16px}
    .legend i{display:inline-block;width:12px;height:12px;border-radius:2px;margin-right:5px;vertical-align:-1px}
    .legend .series0{background:var(--a)}.legend .series1{background:var(--b)}
    pre,code{font:13px/1.45 ui-monospace,monospace;unicode-bidi:isolate}
    pre{background:var(--panel);border-radius:8px;padding:12px 16px;overflow-x:auto;white-space:pre-wrap;
    overflow-wrap:anywhere}
    .scroll{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
    th,td{padding:4px 14px 4px 0;text-align:right;border-bottom:1px solid var(--rule);vertical-align:top}
    th{color:var(--faint);font-weight:500}th:first-child,td:first-child,.words{text-align:left}
    td.words{overflow-wrap:anywhere}.facts th{text-align:left;white-space:nowrap}.facts td{text-align:left;
    overflow-wrap:anywhere}
    .best td{font-weight:600}details{border-top:1px solid var(--rule);padding:6px 0}summary{cursor:pointer}
    """
}
