<?php
// A single-page application's other half: an interface that answers 401 without a
// session or a token, as such interfaces do.
session_start();
$path = $_SERVER['PATH_INFO'] ?? '/';
header('Content-Type: application/json');
if ($path === '/login') {
    $sent = json_decode(file_get_contents('php://input'), true);
    $right = ($sent['user'] ?? '') === 'ada' && ($sent['password'] ?? '') === 'correct-horse';
    if ($right) {
        $_SESSION['user'] = 'ada';
    }
    http_response_code($right ? 200 : 401);
    exit($right ? '{"welcome":"ada"}' : '{"error":"wrong user name or password"}');
}
$token = (apache_request_headers()['Authorization'] ?? '') === 'Bearer fresh';
if (!$token && !isset($_SESSION['user'])) {
    http_response_code(401);
    exit('{"error":"log in"}');
}
if (preg_match('#^/(notifications|draft)#', $path)) {
    http_response_code(404);
    exit('{"error":"nothing yet"}');
}
echo '{"path":' . json_encode($path) . '}';
