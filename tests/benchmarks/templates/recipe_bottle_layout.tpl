<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>ToDo App powered by Bottle</title>
  <link rel="icon" href="/static/bottle.svg">
  <link rel="stylesheet" href="/static/style.css">
</head>
<body>
  <header>
    <a class="brand" href="/todo">ToDo</a>
  </header>
  <main>
{{!base}}
  </main>
</body>
</html>
