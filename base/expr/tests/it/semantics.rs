//! What expressions evaluate to, as Go's expr and CrowdSec's helpers have it.
//!
//! Right side: the value; `!…` an evaluation error whose text contains it; `?…` a compile
//! error whose sentence contains it.

use expr::{EvalError, Type, Value};

use crate::support::{Names, event};

fn show(value: &Value<'_>) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Str(bytes) => format!("'{}'", text(bytes)),
        Value::Float(number) => format!("{number:?}"),
        other => text(&other.shown()),
    }
}

fn outcome(source: &str) -> String {
    let mut names = Names::default();
    let compiled = match expr::compile(source, &mut names, Type::Any) {
        Ok(compiled) => compiled,
        Err(error) => return format!("?{error}"),
    };
    let mut event = event();
    event.bind(&names);
    let result: Result<Value<'_>, EvalError> = if compiled.is_pure() {
        compiled.eval(&event)
    } else {
        compiled.run(&mut event)
    };
    match result {
        Ok(value) => show(&value),
        Err(error) => format!("!{error}"),
    }
}

fn check(rows: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (source, expected) in rows {
        let got = outcome(source);
        let fits = match expected.chars().next() {
            Some(mark @ ('!' | '?')) => {
                got.starts_with(mark) && got.contains(expected.trim_start_matches(mark))
            }
            _ => got == *expected,
        };
        if !fits {
            wrong.push(format!("{source}\n    gave {got}\n    want {expected}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        rows.len(),
        wrong.join("\n")
    );
}

#[test]
fn literals_and_operators() {
    check(&[
        ("nil", "nil"),
        ("true", "true"),
        ("42", "42"),
        ("1_000", "1000"),
        ("0x2A", "42"),
        ("0b101", "5"),
        ("0o17", "15"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("1e3", "1000.0"),
        (r"'a\tb'", r"'a\tb'"),
        (r#""it's""#, r"'it\'s'"),
        (r"'\x41\u0042\u{43}'", "'ABC'"),
        (r"'\xff'", r"'\xc3\xbf'"),
        (r"b'\xff'", r"'\xff'"),
        (r"`a\b``c`", r"'a\\b`c'"),
        ("[1, 'a', nil,]", "[1 a <nil>]"),
        ("{a: 1, 'b': 2}.b", "2"),
        ("{a: 1}.zzz", "nil"),
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("7 / 2", "3.5"),
        ("7 % 3", "1"),
        ("-7 % 3", "-1"),
        ("2 ** 3 ** 2", "512.0"),
        ("2 ^ 3", "8.0"),
        ("-2 ** 2", "-4.0"),
        ("1 - 2 - 3", "-4"),
        ("1 + 0.5", "1.5"),
        ("9223372036854775807 + 1", "-9223372036854775808"),
        ("'a' + 'b' + 'c'", "'abc'"),
        ("1..4", "[1 2 3 4]"),
        ("4..1", "[]"),
        ("1 == 1.0", "true"),
        ("1 != 2", "true"),
        ("'a' < 'b'", "true"),
        ("1 < 2 < 3", "true"),
        ("1 < 3 < 2", "false"),
        ("1 < 2.5 and 2 >= 2 and 3 <= 3", "true"),
        ("[1, 2] == [1, 2.0]", "true"),
        ("nil == nil", "true"),
        ("not true or true", "true"),
        ("!(true && false)", "true"),
        ("not false == true", "true"),
        ("true and false or true", "true"),
        ("1 in [1, 2]", "true"),
        ("1.0 in [1, 2]", "true"),
        ("'1' in [1, 2]", "false"),
        ("'a' not in ['a']", "false"),
        ("nil in ['', nil]", "true"),
        ("'b' in {a: 1, b: 2}", "true"),
        ("'c' in {a: 1, b: 2}", "false"),
        ("'x' in nil", "false"),
        ("'abc' contains 'b'", "true"),
        ("'abc' not contains 'b'", "false"),
        ("'abc' startsWith 'ab' and 'abc' endsWith 'bc'", "true"),
        ("'abc' not startsWith 'ab'", "false"),
        ("not ('abc' startsWith 'ab')", "false"),
        (r"'a.c' matches '^a\\.c$'", "true"),
        ("'ABC' matches '(?i)abc'", "true"),
        ("'abc' not matches 'b'", "false"),
        ("nothing contains 'x'", "false"),
        ("nothing matches 'x'", "false"),
        ("nothing ?? 'x'", "'x'"),
        ("any ?? 'x'", "'anything'"),
        ("nil ?? nil ?? 3", "3"),
        ("true ? 1 : 2", "1"),
        ("false ? 1 : true ? 2 : 3", "2"),
        ("nothing == nil ? 'none' : 'some'", "'none'"),
        ("if 1 > 2 { 'a' } else if 2 > 1 { 'b' } else { 'c' }", "'b'"),
        ("let x = 2; let y = x + 1; x * y", "6"),
        ("1; 2; 3", "3"),
        ("// all\n1 /* two */ + 2", "3"),
        ("'abc'[1:]", "'bc'"),
        ("'abcdef'[1:-1]", "'bcde'"),
        ("'abc'[:99]", "'abc'"),
        ("'abc'[2:1]", "''"),
        ("[1,2,3][-1]", "3"),
        ("[1,2,3][-2:]", "[2 3]"),
        ("'a,b' | split(',') | len()", "2"),
    ]);
}

#[test]
fn paths_and_missing_things() {
    check(&[
        ("evt.Meta.service", "'http'"),
        ("evt.Meta['service']", "'http'"),
        (
            "evt.Meta.service + '/' + (evt.Meta.http_status + Upper('x')) + ''",
            "'http/404X'",
        ),
        ("evt.Meta.nowhere", "''"),
        ("evt.Meta.nowhere == ''", "true"),
        ("evt.Meta.nowhere ?? 'x'", "''"),
        ("'service' in evt.Meta", "true"),
        ("'nowhere' in evt.Meta", "false"),
        ("evt.GetMeta('service')", "'http'"),
        ("evt.GetType() == 'log'", "true"),
        ("evt.Unmarshaled.js.name", "'caddy'"),
        ("evt.Unmarshaled.js.status", "404.0"),
        ("evt.Unmarshaled.js.status == 404", "true"),
        ("evt.Unmarshaled.js.status in [401, '404', 404]", "true"),
        ("evt.Unmarshaled.js.deep.a['b']", "'c'"),
        ("evt.Unmarshaled.js.missing", "nil"),
        ("evt.Unmarshaled.js.none == nil", "true"),
        ("evt.Unmarshaled.kv.pid", "'12'"),
        ("evt.Unmarshaled.kv.missing", "''"),
        ("evt.Unmarshaled.nope", "nil"),
        ("evt.Unmarshaled.nope.a", "!a field on nil"),
        ("evt.Unmarshaled.nope?.a", "nil"),
        ("evt.Unmarshaled.nope?.a.b.c", "nil"),
        ("evt.Unmarshaled.nope?.a ?? 'x'", "'x'"),
        ("evt.Unmarshaled.nope?.['a']", "nil"),
        ("evt.Unmarshaled.nope?.a == 'x'", "false"),
        ("evt.Unmarshaled.js?.deep?.a?.b", "'c'"),
        ("evt.Unmarshaled.js.list[1]", "2.5"),
        ("evt.Unmarshaled.js.list[9]", "!element 9 of a list of 3"),
        ("evt.Unmarshaled.js.list[-4]", "!element -4"),
        ("evt.Unmarshaled.js.name.x", "!a field on string"),
        ("evt.Unmarshaled.js.ok ? 'y' : 'n'", "'y'"),
        (
            "evt.Unmarshaled.js.missing ? 'y' : 'n'",
            "!a condition on nil",
        ),
        ("evt.Unmarshaled.js.missing && true", "!a condition on nil"),
        ("evt.Unmarshaled.js.name + 1", "!+ on string"),
        ("evt.Unmarshaled.js.name < 1", "!< on int"),
        (
            "evt.Unmarshaled.js.name contains evt.Unmarshaled.js.status",
            "!contains on float",
        ),
        (
            "filter(evt.Unmarshaled.js.params, {.key == 'user' && .value.login != ''})[0]['value']['login']",
            "'eve'",
        ),
        (
            "any(evt.Unmarshaled.js.params, {.key == 'user' && .value.login != nil})",
            "true",
        ),
        ("len(queue.Queue)", "3"),
        ("queue.Queue[-1].Meta.exe", "'/usr/bin/wget'"),
        ("queue.Queue[0].GetMeta('exe')", "'/bin/sh'"),
        ("queue.Queue[0].Nope", "!field Nope of event"),
        ("queue.Queue[0].Nope()", "!field Nope of event"),
        ("queue.Queue[3].Meta", "!element 3"),
        ("evt.Time.Hour()", "19"),
        ("evt.Time.Weekday()", "6"),
        ("evt.Time.Weekday().String()", "'Saturday'"),
        ("evt.Time.Month().String()", "'November'"),
        ("evt.Time.YearDay()", "325"),
        (
            "evt.Time.Year() == 2026 and evt.Time.Day() == 21 and evt.Time.Minute() == 30",
            "true",
        ),
    ]);
}

#[test]
fn closures() {
    check(&[
        ("any([1,2,3], {# > 2})", "true"),
        ("any([1,2,3], # > 2)", "true"),
        ("all([1,2,3], {# > 0})", "true"),
        ("all([], {# > 0})", "true"),
        ("none([1,2,3], {# > 3})", "true"),
        ("one([1,2,3], {# == 2})", "true"),
        ("count([1,2,3,4], {# % 2 == 0})", "2"),
        ("count([true,false,true])", "2"),
        ("filter([1,2,3], {# != 2})", "[1 3]"),
        ("map([1,2,3], {# * 2})", "[2 4 6]"),
        ("map(['a','b'], {Upper(#)})", "[A B]"),
        ("map(1..3, {#index})", "[0 1 2]"),
        ("find([1,2,3], {# > 1})", "2"),
        ("find([1,2,3], {# > 9})", "nil"),
        ("findIndex([1,2,3], {# > 1})", "1"),
        ("findLast([1,2,3], {# > 1})", "3"),
        ("findLastIndex([1,2,3], {# > 9})", "-1"),
        ("sum([1,2,3])", "6"),
        ("sum([1,2,3], {# * 2})", "12"),
        ("reduce([1,2,3], {#acc + #}, 10)", "16"),
        ("reduce([1,2,3], {#acc * #})", "6"),
        ("reduce([], {#acc + #})", "!the list is empty"),
        ("sortBy(['bb','a','ccc'], {len(#)}, 'desc')", "[ccc bb a]"),
        (
            "groupBy([1,2,3], {# % 2 == 0 ? 'even' : 'odd'}).odd",
            "[1 3]",
        ),
        ("any([[1],[2,3]], {any(#, {# == 3})})", "true"),
        (
            "let x = 2; filter([1,2,3], {let y = # * x; y > x})",
            "[2 3]",
        ),
        ("any(queue.Queue, {.Meta.exe == '/bin/sh'})", "true"),
        ("all(queue.Queue, {#.Meta.log_type == 'auth'})", "false"),
        (
            "let f = filter(queue.Queue, {#.Meta.log_type == 'auth'}); len(f) >= 2 && MedianInterval(map(f[-2:], {#.Time})) == duration('1m')",
            "true",
        ),
        ("MedianInterval(map(queue.Queue, {.Time}))", "1m40s"),
        (
            "MedianInterval(map(queue.Queue[:1], {.Time}))",
            "!at least two times",
        ),
        (
            "AverageInterval(map(queue.Queue, {.Time})) > duration('99s')",
            "true",
        ),
        ("any(1, {true})", "?'any' cannot be applied to an int"),
        ("any([1], {# + 1})", "!a condition on int"),
        (
            "any(['a'], {# + 'b'})",
            "?gives a string, but true or false",
        ),
        ("#", "?cannot stand here"),
        ("[1] contains {#}", "?"),
    ]);
}

#[test]
fn text_functions() {
    check(&[
        ("Upper('aB1')", "'AB1'"),
        ("Lower('ÄB')", r"'\xc3\xa4b'"),
        ("upper('ß')", r"'\xc3\x9f'"),
        ("Lower(b'A\\xff')", r"'a\xef\xbf\xbd'"),
        (r"TrimSpace(' \t a b\n')", "'a b'"),
        ("trim('  x ')", "'x'"),
        ("Trim('xxaxx', 'x')", "'a'"),
        ("TrimLeft('xxaxx', 'x')", "'axx'"),
        ("TrimRight('xxaxx', 'x')", "'xxa'"),
        ("TrimPrefix('[::1]', '[')", "'::1]'"),
        ("TrimSuffix('[::1]', ']')", "'[::1'"),
        ("trimSuffix('a,', ',')", "'a'"),
        ("hasPrefix('abc', 'a') && hasSuffix('abc', 'c')", "true"),
        ("Split('a:b:c', ':')[1]", "'b'"),
        ("Split('abc', '')", "[a b c]"),
        ("Split('', ',')", "[]"),
        ("len(Split('', ','))", "1"),
        ("SplitN('a:b:c', ':', 2)", "[a b:c]"),
        ("SplitAfter('a:b', ':')", "[a: b]"),
        ("Fields(' a  b ')", "[a b]"),
        ("Join(['a','b'], '-')", "'a-b'"),
        ("Index('abc', 'c')", "2"),
        ("Index('abc', 'x')", "-1"),
        ("IndexAny('abc', 'xc')", "2"),
        ("lastIndexOf('a:b:c', ':')", "3"),
        ("Replace('aaa', 'a', 'b', 2)", "'bba'"),
        ("ReplaceAll('aaa', 'a', 'b')", "'bbb'"),
        ("repeat('ab', 2)", "'abab'"),
        ("repeat('ab', -1)", "!the count is negative"),
        ("len('häh')", "3"),
        ("len([1,2])", "2"),
        ("len(evt.Unmarshaled.js.deep)", "1"),
        ("len(nothing)", "!len on nil"),
        ("PathUnescape(evt.Parsed.enc)", "'%2e%2E%2Fetc+passwd%zz'"),
        ("PathUnescape('%2e%2E%2Fetc+x')", "'../etc+x'"),
        ("QueryUnescape('%2e+x')", "'. x'"),
        ("QueryEscape('a b&c/')", "'a+b%26c%2F'"),
        ("PathEscape('a b&c/')", "'a%20b&c%2F'"),
        ("ParseUri('/x?a=1&b=2&a=3#f').a", "[1 3]"),
        ("ExtractQueryParam('a=1&a=%32', 'a')", "[1 2]"),
        ("B64Decode('aGVsbG8=')", "'hello'"),
        ("B64Decode('aGVsbG8')", "!no base64"),
        ("toBase64('hello')", "'aGVsbG8='"),
        ("Match('*/wp-*.php', '/x/wp-login.php')", "true"),
        ("Match('a?c', 'abc')", "true"),
        ("Match('a?c', 'abbc')", "false"),
        ("Match('', '')", "true"),
        ("Match('*', '')", "true"),
        ("basename('/a/b/c.log')", "'c.log'"),
        ("Sprintf('%s-%d-%v-%%', 'a', 7, 1.5)", "'a-7-1.5-%'"),
        ("Sprintf('%v', evt.Unmarshaled.js.big)", "'1.7e+09'"),
        ("Sprintf('%v', 123456.0)", "'123456'"),
        (
            "Sprintf('%5d|%-5s|%05d', 42, 'x', 42)",
            "'   42|x    |00042'",
        ),
        ("Sprintf('%.2f', 3.14159)", "'3.14'"),
        (
            "Sprintf('%x %X %q', 'az', 255, 'a\"b')",
            r#"'617a FF \"a\\\"b\"'"#,
        ),
        ("Sprintf('%d', 'x')", "'%!d(string=x)'"),
        ("Sprintf('%d')", "'%!d(MISSING)'"),
        ("Sprintf('x', 1)", "'x%!(EXTRA int=1)'"),
        ("Sprintf('%+v', ['a','b'])", "'[a b]'"),
        ("Sprintf('%v %v', nil, {a: 1})", "'<nil> map[a:1]'"),
        (
            "Sprintf('%dh', (GetDecisionsCount('abc') + 1) * 4)",
            "'16h'",
        ),
        ("string(12)", "'12'"),
        ("string(evt.Unmarshaled.js.status)", "'404'"),
        ("ToString(12)", "''"),
        ("ToString('x')", "'x'"),
        ("int('12')", "12"),
        ("int('1.5')", "!no whole number"),
        ("int('')", "!no whole number"),
        ("int(evt.Unmarshaled.js.status)", "404"),
        ("int(-1.9)", "-1"),
        ("int(nothing)", "!int on nil"),
        ("float('1.5')", "1.5"),
        ("float(2)", "2.0"),
        ("Atof('x')", "0.0"),
        ("abs(-3)", "3"),
        ("max(1, 5, 3)", "5"),
        ("min([4, 2.5])", "2.5"),
        ("mean([1,2,3])", "2.0"),
        ("median([3,1,2,10])", "2.5"),
        ("floor(1.7) + ceil(1.2) + round(2.5)", "6.0"),
        ("type('x')", "'string'"),
        ("type([1])", "'array'"),
        ("FloatApproxEqual(1.0, 1.0000001)", "true"),
    ]);
}

#[test]
fn data_network_and_outside_functions() {
    check(&[
        ("JsonExtract(evt.Parsed.message, 'a.b[0]')", "'10'"),
        ("JsonExtract(evt.Parsed.message, 'a.b[1].c')", r"'x\\ty'"),
        (
            "JsonExtractUnescape(evt.Parsed.message, 's')",
            r#"'q\"uote'"#,
        ),
        ("JsonExtract(evt.Parsed.message, 'n')", "'1.50'"),
        ("JsonExtract(evt.Parsed.message, 'z')", "'null'"),
        (
            "JsonExtract(evt.Parsed.message, 'a')",
            r#"'{\"b\":[10,{\"c\":\"x\\ty\"}]}'"#,
        ),
        ("JsonExtract(evt.Parsed.message, 'nope.x')", "''"),
        ("JsonExtract('no json', 'a')", "''"),
        ("JsonExtractSlice(evt.Parsed.message, 'a.b')[0]", "10.0"),
        (
            "JsonExtractObject(evt.Parsed.message, 'a').b[1].c",
            r"'x\ty'",
        ),
        ("JsonExtractObject(evt.Parsed.message, 's')", "nil"),
        ("fromJSON('[1,{\"a\":2}]')[1].a", "2.0"),
        (
            "ToJsonString({a: [1, 'x<y']})",
            r#"'{\"a\":[1,\"x\\u003cy\"]}'"#,
        ),
        ("get(evt.Unmarshaled.js, 'nope')", "nil"),
        ("get(nothing, 'x')", "nil"),
        ("get([1,2], 5)", "nil"),
        ("get([1,2], 1)", "2"),
        ("Get(Split('a,b', ','), 7)", "''"),
        ("KeyExists('name', evt.Unmarshaled.js)", "true"),
        ("keys({b: 1, a: 2})", "[a b]"),
        ("values({b: 1, a: 2})", "[2 1]"),
        ("first([7,8])", "7"),
        ("last([7,8])", "8"),
        ("last([])", "nil"),
        ("take([1,2,3], 2)", "[1 2]"),
        ("reverse([1,2])", "[2 1]"),
        ("sort([3,1,2])", "[1 2 3]"),
        ("sort(['a','c','b'], 'desc')", "[c b a]"),
        ("uniq([1,1,2])", "[1 2]"),
        ("concat([1],[2,3])", "[1 2 3]"),
        ("Flatten([1,[2,[3]]])", "[1 2 3]"),
        (
            "XMLGetNodeValue('<E><D>a</D><D>b &amp; c</D></E>', '/E[1]/D[2]')",
            "'b & c'",
        ),
        (
            "XMLGetNodeValue('<?xml version=\"1.0\"?><Event xmlns=\"x\"><EventData><Data Name=\"A\">1</Data><Data Name=\"B\">2</Data></EventData></Event>', \"/Event/EventData[1]/Data[@Name='B']\")",
            "'2'",
        ),
        (
            "XMLGetAttributeValue('<E><P Name=\"x&#65;\"/></E>', '/E/P', 'Name')",
            "'xA'",
        ),
        ("XMLGetNodeValue('<E><D>', '/E/X')", "''"),
        ("XMLGetNodeValue('not xml', '/E')", "''"),
        (
            "XMLGetNodeValue('<E><A><D>no</D></A><D>yes</D></E>', '/E/D')",
            "'yes'",
        ),
        (
            "XMLGetNodeValue('<E><D><![CDATA[<x>]]></D></E>', '/E/D')",
            "'<x>'",
        ),
        ("IpInRange('192.0.2.7', '192.0.2.0/24')", "true"),
        ("IpInRange('192.0.3.7', '192.0.2.0/24')", "false"),
        ("IpInRange('2001:db8::1', '2001:db8::/32')", "true"),
        ("IpInRange('::ffff:192.0.2.7', '192.0.2.0/24')", "true"),
        ("IpInRange('192.0.2.7', '::/0')", "false"),
        (
            "IpInRange('x', '0.0.0.0/0') or IpInRange('1.1.1.1', '1.1.1.1')",
            "false",
        ),
        (
            "IsIP('1.2.3.4') and IsIPV4('1.2.3.4') and IsIPV6('::1')",
            "true",
        ),
        ("IsIPV6('1.2.3.4') or IsIP('1.2.3') or IsIP('')", "false"),
        ("IpToRange('192.0.2.77', '/24')", "'192.0.2.0/24'"),
        (
            "IpToRange('2001:db8:1:2:3::1', '64')",
            "'2001:db8:1:2::/64'",
        ),
        ("IpToRange('x', '/24') + IpToRange('1.2.3.4', '/33')", "''"),
        (
            "int(Distance('48.8566', '2.3522', '51.5074', '-0.1278'))",
            "343",
        ),
        ("Distance('0', '0', '51', '1')", "0.0"),
        ("Distance('x', '0', '51', '1')", "!coordinate"),
        ("duration('1h30m')", "1h30m0s"),
        ("duration('1.5s') == duration('1500ms')", "true"),
        ("duration('-2m')", "-2m0s"),
        ("duration('x')", "!no duration"),
        ("duration('1h') > duration('59m')", "true"),
        ("date('2026-01-02T03:04:05Z').Hour()", "3"),
        ("date('2026-01-02') - date('2026-01-01')", "24h0m0s"),
        (
            "date('2026-01-02') + duration('1h') > date('2026-01-02')",
            "true",
        ),
        ("ParseUnix('1700000000.123')", "'2023-11-14T22:13:20Z'"),
        ("ParseUnix('x')", "''"),
        ("TimeNow()", "'2026-11-22T12:00:00Z'"),
        ("now().Year()", "2026"),
        ("GetDecisionsSinceCount('x', '1h')", "3600000000000"),
        ("GetFromStash('c', 'k')", "''"),
        ("LookupFile(evt.Meta.http_path, 'map.json')", "''"),
        ("CrowdsecCTI('1.2.3.4')", "!not available"),
        ("LookupHost('x')", "!not available"),
        ("File('nope.txt')", "[]"),
        ("len(File('paths.txt'))", "3"),
        (
            "any(File('paths.txt'), {evt.Meta.http_path contains #})",
            "true",
        ),
        (
            "any(File('paths.txt'), {Upper(evt.Meta.http_path) contains Upper(#)})",
            "true",
        ),
        (
            "any(File('paths.txt'), {evt.Meta.http_path endsWith #})",
            "false",
        ),
        (
            "none(File('paths.txt'), {evt.Meta.http_path startsWith #})",
            "true",
        ),
        (
            "any(File('nets.txt'), {IpInRange(evt.Meta.source_ip, #)})",
            "true",
        ),
        (
            "any(File('nets.txt'), {len(#) > 0 && IpInRange('203.0.113.1', #)})",
            "false",
        ),
        // Ranges that are written out are read once, and rows of them together.
        ("IpInRange(evt.Meta.source_ip, '0.0.0.0/0')", "true"),
        ("IpInRange(evt.Meta.source_ip, '::/0')", "false"),
        ("IpInRange(evt.Meta.source_ip, 'nonsense')", "false"),
        (
            "IpInRange(evt.Meta.source_ip, '::/0') or IpInRange(evt.Meta.source_ip, 'nonsense') \
             or IpInRange(evt.Meta.source_ip, evt.Meta.source_ip + '/32')",
            "true",
        ),
        (
            "IpInRange(evt.Meta.source_ip, '240.0.0.0/4') or IpInRange(evt.Meta.source_ip, '::/0') \
             or IpInRange(evt.Meta.source_ip, '0.0.0.0/1') or IpInRange(evt.Meta.source_ip, '128.0.0.0/1')",
            "true",
        ),
        (
            "IpInRange(evt.Meta.service, '0.0.0.0/0') or IpInRange(evt.Meta.service, '::/0')",
            "false",
        ),
        ("evt.Meta.source_ip in File('nets.txt')", "false"),
        ("'/.env' in File('paths.txt')", "true"),
        ("RegexpInFile('a bot', 'ua.txt')", "true"),
        ("RegexpInFile(Lower(evt.Meta.service), 'ua.txt')", "false"),
    ]);
}

#[test]
fn authors_are_told_what_is_wrong() {
    check(&[
        ("", "?ends too early"),
        ("1 +", "?ends too early"),
        ("1 2", "?A number cannot stand here"),
        ("'abc", "?never closed"),
        ("'a\nb'", "?never closed"),
        (r"'\d'", "?two backslashes"),
        ("/* x", "?never closed"),
        ("a = b", "?'=' cannot stand here"),
        ("a == b", "?There is no 'a'"),
        ("(1", "?expected ')'"),
        ("[1, 2", "?expected ','"),
        ("@x", "?no meaning"),
        ("99999999999999999999", "?64 bits"),
        ("12abc", "?not a number"),
        (
            "evt.Metta.service",
            "?There is no 'Metta' in 'evt'. Did you mean 'Meta'?",
        ),
        ("evnt.Meta.x", "?Did you mean 'evt'?"),
        (
            "uper('x')",
            "?There is no function 'uper'. Did you mean 'upper'?",
        ),
        ("JsonExtrat('x', 'y')", "?Did you mean 'JsonExtract'?"),
        ("Upper()", "?'Upper' takes 1 argument, but is given 0."),
        (
            "Upper('a', 'b')",
            "?'Upper' takes 1 argument, but is given 2.",
        ),
        (
            "Upper(1)",
            "?Argument 1 of 'Upper' must be a string, but is an int.",
        ),
        (
            "evt.Meta.x == 5",
            "?'==' cannot stand between a string and an int",
        ),
        (
            "evt.Meta.x + 5",
            "?'+' cannot stand between a string and an int",
        ),
        ("5 contains 'x'", "?'contains' cannot stand"),
        ("'x' in 'xyz'", "?'in' cannot stand"),
        ("not 'x'", "?gives a string, but true or false is needed"),
        ("'x' and true", "?gives a string"),
        ("'x' ? 1 : 2", "?gives a string"),
        ("-'x'", "?'-' cannot be applied to a string"),
        ("'x'.foo", "?A string has no field 'foo'"),
        ("evt.Time.Foo()", "?A time has no method 'Foo'"),
        ("'x' matches '('", "?no regular expression"),
        ("'x' matches '(?=x)'", "?no regular expression"),
        ("1 ?? 2 + 3", "?cannot be mixed"),
        ("let len = 1; len", "?name of a function"),
        ("let x = 1", "?expected ';'"),
        ("if true { 1 }", "?expected 'else'"),
        ("any([1])", "?takes a list and a closure"),
        ("UnmarshalJSON('x', {}, 'y')", "?map of the event"),
        (
            "Upper(string(UnmarshalJSON('x', evt.Unmarshaled, 'y')))",
            "?changes the event",
        ),
        ("evt.SetMeta('a')", "?takes 2 arguments"),
    ]);
}

#[test]
fn a_wanted_type_is_checked_and_positions_are_given() {
    let mut names = Names::default();
    let error = expr::compile("evt.Meta.x", &mut names, Type::Bool).unwrap_err();
    assert_eq!(
        error.message,
        "This expression gives a string, but true or false is wanted here."
    );
    let source = "evt.Meta.a == 'x' &&\n  evt.Meta.b == 5";
    let error = expr::compile(source, &mut names, Type::Bool).unwrap_err();
    assert_eq!(error.position(source), (2, 3));
    assert_eq!(
        &source.as_bytes()[error.span.start..error.span.end],
        b"evt.Meta.b == 5"
    );
    assert!(expr::compile("evt.Unmarshaled.x", &mut names, Type::Bool).is_ok());
    assert!(expr::compile("evt.Meta.x", &mut names, Type::Text).is_ok());
}

#[test]
fn case_folding_tests_equal_the_copying_ones() {
    let needles = [
        "WP-LOGIN", "wp-login", "/ADMIN", "PHP", "GRÜN", "", "Admin", "zzz",
    ];
    for field in [
        "evt.Meta.http_path",
        "evt.Parsed.umlaut",
        "evt.Meta.nowhere",
    ] {
        for function in ["Upper", "Lower"] {
            for test in ["contains", "startsWith", "endsWith", "=="] {
                for needle in needles {
                    let fast = outcome(&format!("{function}({field}) {test} '{needle}'"));
                    let slow = outcome(&format!(
                        "let n = string('{needle}' + ''); let t = {function}({field}) + ''; [t][0] {test} [n][0]"
                    ));
                    assert_eq!(fast, slow, "{function}({field}) {test} '{needle}'");
                }
            }
            let row = needles.map(|needle| format!("{function}({field}) contains '{needle}'"));
            let some = row.iter().any(|part| outcome(part) == "true");
            assert_eq!(
                outcome(&row.join(" or ")),
                some.to_string(),
                "{function}({field})"
            );
        }
    }
}

#[test]
fn the_side_that_is_not_true_is_named_as_it_is_written() {
    for (source, side) in [
        (
            "1 == 1 && evt.Meta.service == 'ftp'",
            "evt.Meta.service == 'ftp'",
        ),
        (
            "evt.Meta.service == 'http' and not (evt.Meta.service in ['http', 'x'])",
            "not (evt.Meta.service in ['http', 'x'])",
        ),
        ("evt.Meta.service == 'ftp'", "evt.Meta.service == 'ftp'"),
        (
            "evt.Meta.service == 'http' && any(['a'], { # == evt.Meta.service })",
            "any(['a'], { # == evt.Meta.service })",
        ),
        (
            "evt.Meta.service == 'http' && (evt.Meta.service == 'a' || evt.Meta.service == ')')",
            "evt.Meta.service == 'a' || evt.Meta.service == ')'",
        ),
    ] {
        let mut names = Names::default();
        let compiled = expr::compile(source, &mut names, Type::Bool).unwrap();
        let mut event = event();
        event.bind(&names);
        let told = compiled.untrue_side(&event);
        assert!(
            told.contains(side),
            "{source}\n  told {told}\n  want {side}"
        );
    }
}
