#!/bin/bash
# Makes the protected host in the folder given: DokuWiki, MediaWiki, WebDAV, git, a
# package repository, calendars and a site of plain files, each as its package has it,
# with its data in the folder. Everything listens on loopback.
set -euo pipefail
cd "$1"
folder=$PWD
export HOME=$folder LC_ALL=C.UTF-8

# People: the same names and passwords everywhere.
touch people
for who in ada:correct-horse ben:battery-staple cyd:seven-samurai; do
    htpasswd -bB -C 4 people "${who%%:*}" "${who#*:}" 2>/dev/null
    printf '%s:home:%s\n' "${who%%:*}" \
        "$(printf '%s:home:%s' "${who%%:*}" "${who#*:}" | md5sum | cut -d' ' -f1)" >>digests
done

# DokuWiki: anybody reads, who is logged in writes.
cp -rL /usr/share/dokuwiki dokuwiki
rm -f dokuwiki/install.php dokuwiki/.htaccess
cp -r /etc/dokuwiki dokuwiki-conf 2>/dev/null
cp -r /var/lib/dokuwiki/data dokuwiki-data
cat >dokuwiki/inc/preload.php <<PHP
<?php
if (!defined('DOKU_CONF')) define('DOKU_CONF', '$folder/dokuwiki-conf/');
PHP
cat >dokuwiki-conf/local.php <<PHP
<?php
\$conf['title'] = 'Tea and maps';
\$conf['useacl'] = 1;
\$conf['superuser'] = '@admin';
\$conf['savedir'] = '$folder/dokuwiki-data';
\$conf['updatecheck'] = 0;
\$conf['indexdelay'] = 0;
\$conf['userewrite'] = 0;
PHP
rm -f dokuwiki-conf/{users,acl}.auth.php
printf '# users.auth.php\n# <?php exit()?>\n' >dokuwiki-conf/users.auth.php
printf '# acl.auth.php\n# <?php exit()?>\n*\t@ALL\t1\n*\t@user\t8\n' >dokuwiki-conf/acl.auth.php
for who in ada:correct-horse ben:battery-staple cyd:seven-samurai; do
    printf '%s:%s:%s:%s@example.org:user\n' "${who%%:*}" \
        "$(openssl passwd -apr1 "${who#*:}")" "${who%%:*}" "${who%%:*}" >>dokuwiki-conf/users.auth.php
done
pages=dokuwiki-data/pages
{
    echo '====== Tea and maps ======'
    for number in $(seq 1 60); do echo "  * [[place:town$number|Town $number]]"; done
    # What people mistype, and what was never written.
    for number in $(seq 1 25); do echo "  * [[place:forgotten$number|Somewhere $number]]"; done
    echo '{{:wiki:dokuwiki-128.png|}} {{:gone:portrait.png|}} [[http://www.example.org/gone.html|gone]]'
} >$pages/start.txt
mkdir -p $pages/place
for number in $(seq 1 60); do
    printf '====== Town %s ======\nTea is good in [[place:town%s]], and in [[place:lost%s]].\n{{:photos:town%s.png?200|}}\n' \
        "$number" $((number % 60 + 1)) "$number" "$number" >$pages/place/town$number.txt
done

# MediaWiki on SQLite, installed as its manual says.
mkdir mediawiki mediawiki-cache
MW_CONFIG_FILE='' php /usr/share/mediawiki/maintenance/install.php --dbtype sqlite --dbpath "$folder/mediawiki" \
    --dbname wiki --confpath "$folder/mediawiki" --scriptpath /w --server http://encyclopedia.example.org \
    --pass correct-horse-battery --skins Vector Encyclopedia Ada >mediawiki/install.log 2>&1
cat >>mediawiki/LocalSettings.php <<PHP
\$wgCacheDirectory = '$folder/mediawiki-cache';
\$wgMainCacheType = CACHE_DB;
\$wgJobRunRate = 0;
\$wgPasswordAttemptThrottle = [];
PHP
export MW_CONFIG_FILE=$folder/mediawiki/LocalSettings.php
for number in $(seq 1 6); do
    printf '== Tea %s ==\nTea grows. See [[Tea %s]], [[Nowhere %s]] and [[File:Gone %s.png|thumb]].\n' \
        "$number" $((number % 6 + 1)) "$number" "$number" >page
    php /usr/share/mediawiki/maintenance/edit.php -u Ada "Tea $number" <page >/dev/null
done
rm page

# WebDAV, git, packages.
mkdir -p files/shared files/private locks git packages/pool packages/dists/stable/main/binary-all site/thumbs
for number in $(seq 1 20); do echo "Letter $number" >files/shared/letter$number.txt; done
cp files/shared/* files/private/
git init -q --bare git/tea.git
git -C git/tea.git config http.receivepack true
git -C git/tea.git symbolic-ref HEAD refs/heads/main
for name in kettle teapot; do
    mkdir -p $name/DEBIAN $name/usr/share/doc/$name
    echo "A $name" >$name/usr/share/doc/$name/README
    printf 'Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Ada <ada@example.org>\nDescription: a %s\n' \
        "$name" "$name" >$name/DEBIAN/control
    dpkg-deb -b --root-owner-group $name packages/pool/${name}_1.0_all.deb >/dev/null
    {
        cat $name/DEBIAN/control
        printf 'Filename: pool/%s_1.0_all.deb\nSize: %s\nSHA256: %s\n\n' $name \
            "$(stat -c %s packages/pool/${name}_1.0_all.deb)" \
            "$(sha256sum packages/pool/${name}_1.0_all.deb | cut -d' ' -f1)"
    } >>packages/dists/stable/main/binary-all/Packages
    rm -r $name
done
(
    cd packages/dists/stable
    printf 'Origin: Tea\nSuite: stable\nCodename: stable\nArchitectures: all amd64\nComponents: main\nDate: %s\nSHA256:\n' \
        "$(date -Ru)"
    for index in main/binary-all/Packages; do
        printf ' %s %s %s\n' "$(sha256sum $index | cut -d' ' -f1)" "$(stat -c %s $index)" $index
    done
) >release
mv release packages/dists/stable/Release

# A site of plain files: a gallery, a page full of holes, a feed.
pixel='iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=='
{
    echo '<!doctype html><title>Gallery</title><h1>Gallery</h1>'
    for number in $(seq 1 300); do
        base64 -d <<<$pixel >site/thumbs/$number.png
        echo "<img src=/thumbs/$number.png alt=$number>"
    done
} >site/gallery.html
{
    echo '<!doctype html><title>Holes</title><link rel=stylesheet href=/old/style.css><script src=/old/app.js></script>'
    for number in $(seq 1 100); do echo "<img src=/photo/$number alt=''>"; done
    for number in $(seq 1 60); do echo "<img src=/uploads/$number.jpg alt=''>"; done
    echo '<link rel=icon href=/old/icon.png><link rel=manifest href=/old/app.webmanifest><iframe src=/old/map></iframe>'
} >site/holes.html
echo '<!doctype html><title>Home</title><h1>Home</h1><a href=/gallery.html>Gallery</a> <a href=/holes.html>Holes</a> <a href=/links.html>Links</a>' >site/index.html
{
    echo '<!doctype html><title>Links</title>'
    for number in $(seq 1 60); do echo "<a href=/moved/$number>$number</a>"; done
} >site/links.html
mkdir site/intranet
echo '<!doctype html><title>Intranet</title>' >site/intranet/index.html
printf 'User-agent: *\nAllow: /\n' >site/robots.txt
printf '<?xml version="1.0"?><rss version="2.0"><channel><title>Tea</title><link>http://www.example.org/</link><description>Tea</description></channel></rss>\n' >site/feed.xml
cp "$2/app.html" "$2/app.php" site/

# Calendars.
mkdir calendars
cat >radicale.conf <<CONF
[server]
hosts = 127.0.0.1:5232
max_connections = 200
[auth]
type = htpasswd
htpasswd_filename = $folder/people
htpasswd_encryption = bcrypt
delay = 1
[storage]
filesystem_folder = $folder/calendars
[logging]
level = warning
CONF

sed "s|FOLDER|$folder|g" "$2/apache.conf" >apache.conf
mkdir run sessions
chown -R www-data: . 2>/dev/null
