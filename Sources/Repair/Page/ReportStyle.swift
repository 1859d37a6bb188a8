/// The looks of the page, light and dark, wide and narrow.
enum ReportStyle {
    static let sheet = """
        :root{--back:#fbfbf9;--card:#fff;--ink:#1d1f21;--dim:#5c6166;--line:#d9dbd6;
        --intact:#3f8f5b;--torn:#d9a400;--damaged:#c8372d;--zero:#9aa0a6;--lost:#7b4bb7;
        --newer:#2b6cb0;--good:#2f7d4b;--warn:#8a6500;--bad:#b3261e;--hit:#ffd9d4}
        @media(prefers-color-scheme:dark){:root{--back:#15171a;--card:#1e2125;--ink:#e6e7e8;
        --dim:#a2a8ae;--line:#34383d;--intact:#4fae73;--torn:#e3b341;--damaged:#f0665b;
        --zero:#6c7278;--lost:#a87fe0;--newer:#63a4ea;--good:#63c48a;--warn:#e3b341;
        --bad:#ff8379;--hit:#6b231d}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--back);color:var(--ink);
        font:16px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
        main{max-width:66rem;margin:0 auto;padding:1.5rem 1rem 4rem}
        h1{font-size:1.4rem;overflow-wrap:anywhere;margin:0 0 .25rem}
        h2{font-size:1.15rem;margin:0 0 .5rem;overflow-wrap:anywhere}
        h3{font-size:1rem;margin:0 0 .25rem}
        p{margin:.25rem 0;overflow-wrap:anywhere}
        .note{color:var(--dim);font-size:.875rem;overflow-wrap:anywhere}
        .badge{display:inline-block;font-size:.8rem;font-weight:600;padding:0 .5rem;
        border:1px solid currentColor;border-radius:1rem;vertical-align:middle}
        .badge.good{color:var(--good)}.badge.warn{color:var(--warn)}.badge.bad{color:var(--bad)}
        .badge.plain{color:var(--dim)}
        .card{background:var(--card);border:1px solid var(--line);border-radius:.5rem;
        padding:.75rem 1rem;margin:.75rem 0}
        article.bad{border-left:4px solid var(--bad)}article.warn{border-left:4px solid var(--warn)}
        .topic{margin-top:2rem}
        pre{font:13px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace;margin:.5rem 0;
        padding:.5rem .75rem;background:var(--back);border:1px solid var(--line);
        border-radius:.35rem;overflow-x:auto}
        .command{white-space:pre-wrap;overflow-wrap:anywhere}
        .hex .at{color:var(--dim)}
        .hex mark{background:var(--hit);color:inherit}
        figure{margin:.75rem 0}
        figcaption{display:flex;flex-wrap:wrap;gap:0 .75rem;align-items:baseline}
        svg{display:block;width:100%;height:28px;border-radius:.25rem;background:var(--line)}
        .scale{display:flex;justify-content:space-between;font-size:.75rem}
        .legend{display:flex;flex-wrap:wrap;gap:.25rem 1rem;font-size:.875rem}
        .legend i{display:inline-block;width:.9rem;height:.9rem;border-radius:.2rem;
        margin-right:.35rem;vertical-align:-.1rem}
        ul{margin:.5rem 0;padding-left:1.2rem;overflow-wrap:anywhere}
        rect.intact{fill:var(--intact)}i.intact{background:var(--intact)}
        rect.torn{fill:var(--torn)}i.torn{background:var(--torn)}
        rect.damaged{fill:var(--damaged)}i.damaged{background:var(--damaged)}
        rect.zero{fill:var(--zero)}i.zero{background:var(--zero)}
        rect.lost{fill:var(--lost)}i.lost{background:var(--lost)}
        rect.newer{fill:var(--newer)}i.newer{background:var(--newer)}
        """
}
