use proptest::prelude::*;

use super::*;

fn read(argv: &[&str]) -> Option<String> {
    let argv: Vec<OsString> = argv.iter().map(OsString::from).collect();
    runs(&argv).map(|name| name.to_string_lossy().into_owned())
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is one table")]
fn what_an_interpreter_runs_is_read_from_real_command_lines() {
    for (line, expected) in [
        // Node.js and its task runners
        ("node server.js", "server.js"),
        ("node /srv/app/server.js --port 80 --token s3cret", "server.js"),
        ("/usr/bin/node --require ./trace.js --max-old-space-size=4096 dist/main.js", "main.js"),
        ("node --env-file .env --import ./x.mjs src/index.mjs", "index.mjs"),
        ("node --inspect=0.0.0.0:9229 app", "app"),
        ("node inspect app.js", "app.js"),
        ("node .", "."),
        ("node -- server.js", "server.js"),
        ("nodejs /usr/share/app/bin/www", "www"),
        ("node /usr/bin/npm run dev", "npm run dev"),
        ("node /usr/lib/node_modules/npm/bin/npm-cli.js --prefix web run dev -- --token x", "npm run dev"),
        ("node /usr/bin/npm start", "npm start"),
        ("node /usr/bin/npx vite --port 5173", "npx vite"),
        ("node /usr/bin/yarn dev", "yarn dev"),
        ("node /srv/.yarn/releases/yarn-4.1.0.cjs run build:watch", "yarn run build:watch"),
        ("node /usr/local/bin/pnpm --filter web run dev", "pnpm run dev"),
        ("node /home/ada/shop/node_modules/.bin/vite --host", "vite"),
        ("node /home/ada/shop/node_modules/.bin/next dev -p 3000", "next"),
        ("node /srv/node_modules/.bin/tsx watch src/index.ts --key k", "tsx index.ts"),
        ("node /srv/node_modules/.bin/nodemon --exec x", "nodemon"),
        ("node --require /srv/tsx/preflight.cjs --import file:///srv/tsx/loader.mjs src/index.ts", "index.ts"),
        ("node --run dev", "--run dev"),
        ("node -e console.log(1)", "-"),
        ("node --eval x server.js", "-"),
        ("node", "-"),
        // Deno and Bun
        ("deno run --allow-net --config deno.json server.ts --key k", "server.ts"),
        ("deno run https://deno.land/std/http/file_server.ts?token=x", "file_server.ts"),
        ("deno serve --port 8000 main.ts", "main.ts"),
        ("deno task dev", "task dev"),
        ("deno eval x", "-"),
        ("deno server.ts", "server.ts"),
        ("bun run dev", "run dev"),
        ("bun run src/server.ts", "server.ts"),
        ("bun --hot server.ts", "server.ts"),
        ("bun x vite", "x vite"),
        ("bun -e x", "-"),
        // Python
        ("python3 -m http.server 8000", "-m http.server"),
        ("/usr/bin/python3.12 -u -m http.server 8000", "-m http.server"),
        ("python -um flask run", "-m flask"),
        ("python3 -mhttp.server", "-m http.server"),
        ("python3 -X dev -W ignore app.py --password p", "app.py"),
        ("python3 -Xdev -Wignore app.py", "app.py"),
        ("python3 /usr/bin/gunicorn app:app -b 0.0.0.0:80", "gunicorn"),
        ("/srv/venv/bin/python /srv/venv/bin/uvicorn main:app", "uvicorn"),
        ("python3 manage.py runserver", "manage.py"),
        ("python3 -c import\u{a0}time", "-"),
        ("python3 -Ic x", "-"),
        ("python3 -", "-"),
        ("python3", "-"),
        ("pypy3 app.py", "app.py"),
        ("python3: worker secret=1", "-"),
        // Ruby, Perl, PHP, Lua
        ("ruby bin/rails server -p 3000", "rails"),
        ("ruby -r bundler/setup -I lib app.rb", "app.rb"),
        ("ruby -W0 -Ilib app.rb", "app.rb"),
        ("ruby -rsocket -e x", "-"),
        ("perl -w /usr/share/munin/munin-node.pl", "munin-node.pl"),
        ("perl -MSocket -I lib server.pl", "server.pl"),
        ("perl -lne print", "-"),
        ("/usr/bin/perl -T /usr/sbin/hypnotoad", "hypnotoad"),
        ("php artisan serve --port 8000", "artisan"),
        ("php -d display_errors=1 -c /etc/php.ini index.php", "index.php"),
        ("php -S 0.0.0.0:8000 -t public", "-"),
        ("php -S 0.0.0.0:8000 router.php", "router.php"),
        ("php -f worker.php -- x", "worker.php"),
        ("php -r x", "-"),
        ("php8.2 bin/console server:run", "console"),
        ("php-fpm: pool www", "-"),
        ("lua5.4 -l socket server.lua", "server.lua"),
        // Java, .NET, Erlang
        ("java -Xmx1g -cp a:b -jar /opt/app.jar run --pw x", "app.jar"),
        ("java -cp a:b org.example.Main arg", "org.example.Main"),
        ("java --class-path a -Dpw=x -javaagent:/a.jar org.example.Main", "org.example.Main"),
        ("java -p mods -m shop/org.shop.Main", "-m shop/org.shop.Main"),
        ("java --module=shop", "-m shop"),
        ("java @args org.example.Main", "org.example.Main"),
        ("java --add-opens java.base/java.lang=ALL-UNNAMED -jar x.jar", "x.jar"),
        ("java Server.java", "Server.java"),
        ("java -version", "-"),
        ("dotnet /app/Shop.dll --urls http://*:80", "Shop.dll"),
        ("dotnet exec --depsfile a.json Shop.dll", "Shop.dll"),
        ("dotnet run --project Shop", "-"),
        ("/usr/lib/erlang/erts-13/bin/beam.smp -W w -- -root /usr/lib/erlang -noshell -s rabbit boot", "rabbit"),
        ("beam.smp -- -root /x -s elixir start_cli -noshell -extra /usr/bin/mix phx.server", "mix phx.server"),
        ("beam.smp -- -root /x -s elixir start_cli -extra --no-halt", "-"),
        // Shells
        ("bash -x /usr/local/bin/serve arg", "serve"),
        ("bash -o pipefail serve.sh", "serve.sh"),
        ("bash -eo pipefail serve.sh", "serve.sh"),
        ("bash --rcfile x serve.sh", "serve.sh"),
        ("/bin/sh /etc/init.d/web start", "web"),
        ("-bash", "-"),
        ("bash -s arg", "-"),
        ("bash", "-"),
        // Other programs
        ("nginx: master process", "-"),
        ("shutdown now", "-"),
        ("nodes x.js", "-"),
        ("sshd -D", "-"),
        ("", "-"),
    ] {
        let argv: Vec<&str> = line.split(' ').collect();
        assert_eq!(read(&argv).as_deref().unwrap_or("-"), expected, "{line}");
    }
    assert_eq!(runs(&[]), None);
}

#[test]
fn a_plain_command_of_a_shell_is_seen_through_and_no_other() {
    for (text, expected) in [
        ("vite --port 5173", "vite"),
        ("exec node server.js --key k", "node server.js"),
        ("NODE_ENV=dev TOKEN=s3cret node server.js", "node server.js"),
        ("python3 -m http.server 80", "python3 -m http.server"),
        ("npm run dev", "npm run dev"),
        ("/opt/app/bin/serve now", "serve"),
        ("cd /srv && node server.js", "-"),
        ("node $SCRIPT", "-"),
        ("TOKEN=s3cret", "-"),
        ("sh run.sh", "-"),
        ("", "-"),
    ] {
        assert_eq!(read(&["sh", "-c", text]).as_deref().unwrap_or("-"), expected, "{text}");
        assert_eq!(read(&["bash", "-ec", text]).as_deref().unwrap_or("-"), expected, "{text}");
    }
}

#[test]
fn the_name_of_a_process_or_its_file_tells_interpreters() {
    for name in ["node", "python3.11", "java", "beam.smp", "dash", "MainThread", "php8.2", "node.exe", "-bash"] {
        assert!(is_interpreter(OsStr::new(name)), "{name}");
    }
    for name in ["sshd", "nginx", "postgres", "nodes", "php-fpm8.2", "", "javac"] {
        assert!(!is_interpreter(OsStr::new(name)), "{name}");
    }
}

#[test]
fn code_values_and_addresses_with_passwords_are_never_taken() {
    let secret = "s3cret";
    for argv in [
        vec!["node", "-e", secret],
        vec!["node", "--title", secret],
        vec!["node", "/usr/bin/npm", "--userconfig", secret, "start"],
        vec!["python3", "-c", secret],
        vec!["python3", "-X", secret, "app.py"],
        vec!["perl", "-e", secret],
        vec!["perl", "-le", secret],
        vec!["php", "-r", secret],
        vec!["php", "-d", secret, "index.php"],
        vec!["ruby", "-e", secret],
        vec!["java", "-cp", secret, "Main"],
        vec!["deno", "run", "https://u:s3cret@host/x.ts?k=s3cret"],
        vec!["bun", "-e", secret],
        vec!["sh", "-c", "TOKEN=s3cret serve --key s3cret"],
        vec!["bash", "-c", "serve", secret],
        vec!["beam.smp", "--", "-setcookie", secret, "-s", "rabbit"],
    ] {
        let found = read(&argv).unwrap_or_default();
        assert!(!found.contains(secret), "{argv:?}: {found}");
    }
}

proptest! {
    #[test]
    fn any_command_line_has_a_short_answer_or_none(argv in prop::collection::vec("[a-z./ =-]{0,12}|node|python3|sh|-c|-m|java|-jar", 0..8)) {
        let argv: Vec<OsString> = argv.into_iter().map(OsString::from).collect();
        prop_assert!(runs(&argv).is_none_or(|name| !name.is_empty() && name.len() <= LONGEST));
    }
}
